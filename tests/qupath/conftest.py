"""Bundles and a user directory made here."""

import pytest

from support.qupath_files import make_bundle


@pytest.fixture
def bundle(tmp_path):
    return make_bundle(tmp_path / "bundle", "0.2.0")


@pytest.fixture
def older(tmp_path):
    return make_bundle(tmp_path / "older", "0.1.0", ("WsiSamClicks", "WsiSamOld"))


@pytest.fixture
def user_directory(tmp_path):
    directory = tmp_path / "QuPath" / "v0.6"
    directory.mkdir(parents=True)
    return directory
