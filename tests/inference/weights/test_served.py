"""What a server is offered of the folder, and how it notices changes."""

import logging
import os
import time

import pytest

from support.models import Quiet, add_plain, add_trained
from wsisam_model import WsiSam
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.encoders import EncoderChoice, library
from wsisam_server.inference.scheduler import Device, LocalEngine
from wsisam_server.inference.weights import ModelSpec, ServedModels, add
from wsisam_server.inference.weights.record import RECORD


async def test_an_available_model_is_what_the_loaded_model_is(folder):
    add_plain(folder, licence="CC0-1.0")
    add_trained(folder, settings={"multimask": True})
    source = ServedModels(folder)
    source.prepare("other")
    device = Device(1)
    assert set(source.available_models()) == {"wsisam-lite", "plain", "trained"}
    for available in source.available_models().values():
        model = source.load(available.info)
        assert LocalEngine(model, device).info == available.info
        assert available.nbytes == model.nbytes
    assert {name: available.licence for name, available in source.available_models().items()} == {
        "wsisam-lite": "Apache-2.0",
        "plain": "CC0-1.0",
        "trained": "",
    }
    await device.close()


def test_half_the_bytes_in_half_the_precision(folder):
    add_plain(folder)
    source = ServedModels(folder, dtype="bfloat16")
    available = source.available_models()["plain"]
    full = ServedModels(folder).available_models()["plain"].nbytes
    assert available.nbytes == full // 2
    # the prompt encoder and whole numbers stay as they are
    assert source.load(available.info).nbytes == pytest.approx(available.nbytes, rel=0.1)


def test_encoders_are_run_as_the_server_was_told(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(library, "installed_version", lambda: "2020.1")
    add_plain(folder)
    for source, text in (
        (ServedModels(folder), "torch"),
        (ServedModels(folder, encoder=EncoderChoice(tmp_path)), "torch: OpenVINO 2020.1 is too old"),
    ):
        model = source.load(source.available_models()["plain"].info)
        assert model.encoder_runner.description.startswith(text)


def test_the_default_model_need_not_be_available(folder):
    source = ServedModels(folder)
    source.prepare("wsisam-lite")
    assert source.available_models() == {}


def test_only_those_that_may_be_asked(folder):
    add_plain(folder)
    add_trained(folder)
    source = ServedModels(folder, only=["trained"])
    source.prepare("other")
    assert set(source.available_models()) == {"trained"}


def test_nothing_is_read_again_while_nothing_changes(folder, monkeypatch):
    add_plain(folder)
    source = ServedModels(folder)
    long_ago = time.time() - 3600
    os.utime(folder.path, (long_ago, long_ago))
    first = source.available_models()
    monkeypatch.setattr(folder, "names", lambda: pytest.fail("the folder was read again"))
    assert source.available_models() is first
    monkeypatch.undo()
    add_trained(folder)
    assert set(source.available_models()) == {"plain", "trained"}
    folder.remove("plain")
    assert set(source.available_models()) == {"trained"}


def test_two_changes_within_one_tick_of_the_clock_are_both_seen(folder, monkeypatch):
    source = ServedModels(folder)
    add_plain(folder)
    stamp = folder.path.stat()
    assert set(source.available_models()) == {"plain"}
    add_trained(folder)
    os.utime(folder.path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    monkeypatch.setattr(time, "time", lambda: stamp.st_mtime + 1)
    assert set(source.available_models()) == {"plain", "trained"}


def test_a_damaged_record_is_logged_once_and_the_others_are_served(folder, caplog):
    add_plain(folder)
    add_trained(folder)
    (folder.path / "plain" / RECORD).write_text("{")
    source = ServedModels(folder)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert set(source.available_models()) == {"trained"}
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["plain"]


def test_files_that_changed_are_damaged_and_models_that_are_gone_unknown(folder, tmp_path, sam):
    copy = tmp_path / "sam.pth"
    copy.write_bytes(sam.read_bytes())
    add(folder, ModelSpec("linked", {"sam": str(copy)}, link=True), Quiet())
    source = ServedModels(folder)
    info = source.available_models()["linked"].info
    copy.write_bytes(b"something else")
    with pytest.raises(WsiSamServerError) as caught:
        source.load(info)
    assert caught.value.reason is Reason.MODEL_DAMAGED
    assert str(copy) not in caught.value.public_text
    assert str(copy) in caught.value.private
    folder.remove("linked")
    with pytest.raises(WsiSamServerError) as caught:
        source.load(info)
    assert caught.value.reason is Reason.UNKNOWN_MODEL


def test_a_built_in_model_is_loaded_as_always(folder):
    source = ServedModels(folder)
    source.prepare("other")
    info = source.available_models()["wsisam-lite"].info
    assert source.load(info).weights_hash == info.weights_hash == WsiSam.from_name("wsisam-lite").weights_hash
