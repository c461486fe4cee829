"""What the command line says and does about the way the encoder is run."""

import dataclasses
import time

import pytest
from click.testing import CliRunner

from support.encoders import CONDITIONS, FASTER
from wsisam_server.cli import doctor, main
from wsisam_server.cli.configuration import configuration
from wsisam_server.inference.encoders import EncoderFolder, Finding, Processor, library


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WSISAM_MODEL__ENCODER_DIR", str(tmp_path))
    monkeypatch.setattr(library, "installed_version", lambda: CONDITIONS.openvino)
    return EncoderFolder(tmp_path)


def publish(folder, **changes):
    conditions = dataclasses.replace(CONDITIONS, processor=Processor.here().digest)
    finding = Finding(conditions, "a processor", "wsisam-lite", time.time(), {256: FASTER})
    finding = dataclasses.replace(finding, **changes)
    with folder.staging() as place:
        folder.publish(place, finding)


def test_doctor_says_that_nothing_was_tried_yet(folder):
    ((ok, text),) = doctor._encoder(configuration(None, {}))
    assert ok
    assert "run by torch until OpenVINO 2026.4.1 was tried" in text


def test_doctor_says_what_was_found_on_this_processor(folder):
    publish(folder)
    ((ok, text),) = doctor._encoder(configuration(None, {}))
    assert ok
    assert text.startswith("wsisam-lite, 2 threads")
    assert "run by OpenVINO 2026.4.1 (256 px: OpenVINO 0.3 s, torch 0.5 s)" in text


def test_doctor_says_what_went_wrong(folder):
    publish(folder, sizes={}, problem="compiling it died of SIGSEGV")
    ((_, text),) = doctor._encoder(configuration(None, {}))
    assert "run by torch: compiling it died of SIGSEGV" in text


def test_doctor_says_nothing_of_other_processors(folder):
    with folder.staging() as place:
        folder.publish(place, Finding(CONDITIONS, "another", "wsisam-lite", time.time(), {256: FASTER}))
    ((_, text),) = doctor._encoder(configuration(None, {}))
    assert "was tried" in text


def test_doctor_says_that_openvino_is_missing(folder, monkeypatch):
    monkeypatch.setattr(library, "installed_version", lambda: None)
    assert doctor._encoder(configuration(None, {})) == [
        (True, 'run by torch: OpenVINO is not installed (pip install ".[openvino]")')
    ]


def test_the_server_is_told_by_file_variable_or_option(tmp_path, monkeypatch):
    assert configuration(None, {}).model.encoder == "torch", "as the tests' environment says"
    monkeypatch.delenv("WSISAM_MODEL__ENCODER")
    assert configuration(None, {}).model.encoder == "auto"
    assert configuration(None, {"model": {"encoder": "openvino"}}).model.encoder == "openvino"


@pytest.mark.parametrize("command", ["serve", "segment", "precompute", "evaluate", "train", "replay", "everything"])
def test_every_command_that_encodes_has_the_option(command):
    shown = CliRunner().invoke(main, [command, "--help"]).output
    assert "--encoder [auto|torch|openvino]" in shown
    assert "--encoder-dir" in shown
