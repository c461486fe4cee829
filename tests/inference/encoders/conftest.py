"""What the tests of this room share: findings, and commands in place of a trial."""

import dataclasses
import hashlib
import sys
import time

import pytest

from support.encoders import CONDITIONS, FASTER
from wsisam_server.inference.encoders import EncoderFolder
from wsisam_server.inference.encoders.finding import Finding
from wsisam_server.inference.encoders.folder import compiled_file


@pytest.fixture
def folder(tmp_path):
    return EncoderFolder(tmp_path / "encoders")


@pytest.fixture
def make_finding():
    """A finding: its sizes, and other fields."""

    def make(sizes=None, **fields):
        given = {256: FASTER, 112: FASTER} if sizes is None else sizes
        return dataclasses.replace(Finding(CONDITIONS, "a processor", "a model", time.time()), sizes=given, **fields)

    return make


@pytest.fixture
def publish(folder, make_finding):
    """Writes a finding with files into the folder, as a trial does. Returns it."""

    def write(**fields):
        data = {256: b"whole", 112: b"middle"}
        hashed = {side: dataclasses.replace(FASTER, sha256=hashlib.sha256(data[side]).hexdigest()) for side in data}
        finding = make_finding(hashed, **fields)
        with folder.staging() as place:
            for side, content in data.items():
                (place / compiled_file(side)).write_bytes(content)
            folder.publish(place, finding)
        return finding

    return write


@pytest.fixture
def trial():
    """A command that stands in for a trial: a Python program, which gets the request and the folder."""
    return lambda program: (sys.executable, "-S", "-c", program)
