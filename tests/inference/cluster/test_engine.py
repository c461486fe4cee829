"""The engine whose model is elsewhere, on a real replica without Ray: the contract, losses, and what is asked when."""

import asyncio
import socket
import threading

import numpy as np
import pytest
import torch

from support.dark_parts import DarkParts
from support.engine_contract import EngineContract, job, slide
from support.models import add_plain
from support.one_window import one_window
from support.replicas import InThisProcess, config, make
from wsisam_model import WsiSam
from wsisam_server.core.errors import Code, Reason, WsiSamServerError
from wsisam_server.core.settings import MIB
from wsisam_server.inference.cluster import ClusterError, remote
from wsisam_server.inference.cluster import engine as cluster_engine
from wsisam_server.inference.cluster.engine import ClusterEngine
from wsisam_server.inference.cluster.remote import RemoteDevice
from wsisam_server.inference.scheduler import Device, LocalEngine, ModelInfo, Priority
from wsisam_server.inference.weights import ServedModels, WeightsFolder

__all__ = ["slide"]  # a fixture of the contract

SLIDE = "5" * 64

# A replica asks torch how its device is, whatever the model.
pytestmark = pytest.mark.model


class OnDevice(DarkParts):
    """What a replica runs says what it runs on."""

    device = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    return OnDevice()


@pytest.fixture(scope="module")
def real():
    return one_window()


@pytest.fixture(autouse=True)
def _no_warm_up(monkeypatch):
    async def nothing(engine):
        """Costs an encoder run a test."""

    monkeypatch.setattr(LocalEngine, "warm_up", nothing)


@pytest.fixture
async def replicas(model, tmp_path):
    replica = await make(config(tmp_path, model))
    yield InThisProcess(replica)
    await replica.close()


@pytest.fixture
async def device(replicas, monkeypatch):
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(cluster_engine, "ROUNDS", 2)
    device = RemoteDevice(replicas, 8, 256 * MIB)
    yield device
    await device.close()


@pytest.fixture
def engine(model, device):
    return ClusterEngine(ModelInfo.of(model), device)


@pytest.fixture
def cache(device):
    return device.cache


@pytest.fixture
async def reference(model):
    one_thread = Device(64 * MIB, threads=1)
    yield LocalEngine(model, one_thread)
    await one_thread.close()


class TestContract(EngineContract):
    pass


class TestRealModel:
    """The same answers also where a network makes them."""

    @pytest.fixture
    def model(self, real):
        return real

    test_answers_are_those_of_the_reference = EngineContract.test_answers_are_those_of_the_reference


def unreadable(window):
    raise WsiSamServerError(Reason.SLIDE_UNREADABLE)


async def test_a_call_that_was_lost_once_is_asked_again(engine, replicas):
    replicas.failing = 1
    answer = await engine.predict(job())
    assert (answer.logits > 0).any()
    assert [name for name, _ in replicas.calls] == ["encode", "encode", "predict"]


async def test_a_call_that_was_lost_twice_is_unavailable_with_a_hint(engine, replicas):
    replicas.failing = 2
    with pytest.raises(WsiSamServerError) as caught:
        await engine.predict(job())
    assert caught.value.reason is Reason.ENGINE_UNAVAILABLE
    assert caught.value.code is Code.UNAVAILABLE
    assert caught.value.retry_seconds
    assert (await engine.predict(job())).times.encoder_runs == 1


async def test_embeddings_that_are_gone_are_computed_again(engine, replicas):
    first = await engine.predict(job())
    replicas.forget()
    assert engine.missing_windows(job()) == []  # as far as is known here
    again = await engine.predict(job())
    assert again.times.encoder_runs == 1
    assert np.array_equal(again.logits, first.logits)
    assert [name for name, _ in replicas.calls] == ["encode", "predict", "predict", "encode", "predict"]


async def test_a_cache_that_holds_nothing_ends_in_a_hint(model, tmp_path, device, engine, replicas):
    await replicas.replica.close()
    replicas.replica = await make(config(tmp_path, model, cache_bytes=1))
    with pytest.raises(WsiSamServerError) as caught:
        await engine.predict(job())
    assert caught.value.reason is Reason.ENGINE_UNAVAILABLE


async def test_an_error_there_is_the_same_error_here(model, tmp_path, device, replicas):
    add_plain(WeightsFolder(tmp_path), "plain")
    source = ServedModels(WeightsFolder(tmp_path))
    info = source.available_models()["plain"].info
    engine = ClusterEngine(info, device)
    assert (await engine.predict(job())).times.encoder_runs == 1  # the replica loads it when it is first asked
    WeightsFolder(tmp_path).remove("plain")
    replicas.replica._pool.info("")
    with pytest.raises(WsiSamServerError) as caught:
        await engine.predict(job(1000.0))
    assert caught.value.reason is Reason.UNKNOWN_MODEL
    assert caught.value.details["model"] == "plain"


async def test_a_click_raises_the_priority_of_what_a_batch_has_sent(engine, model, replicas, monkeypatch):
    real, begun, go = model.encode, threading.Event(), threading.Event()

    def slow(image, **more):
        begun.set()
        go.wait(60)
        return real(image, **more)

    monkeypatch.setattr(model, "encode", slow)
    first = asyncio.ensure_future(engine.predict(job(0.0, interactive=False)))
    await asyncio.to_thread(begun.wait, 60)
    second = asyncio.ensure_future(engine.predict(job(1000.0, interactive=False)))
    await replicas.asked(2)
    click = asyncio.ensure_future(engine.predict(job(1000.0)))
    await replicas.asked(3)
    go.set()
    await asyncio.gather(first, second, click)
    assert replicas.calls[:3] == [
        ("encode", Priority.BATCH),
        ("encode", Priority.BATCH),
        ("escalate", Priority.INTERACTIVE_ENCODE),
    ]


async def test_a_replica_with_other_weights_does_not_start(model, tmp_path):
    folder = WeightsFolder(tmp_path)
    add_plain(folder, "plain")
    plain = ServedModels(folder).available_models()["plain"].info
    with pytest.raises(ClusterError, match="same weights on all of them"):
        await make(config(tmp_path, model, default=plain))


class TestDisk:
    """Replicas that keep encodings on a disk of their machine."""

    @pytest.fixture
    def model(self, real):
        return real

    @pytest.fixture
    def ring_key(self, tmp_path):
        return tmp_path / "embeddings"

    @pytest.fixture
    async def anew(self, model, tmp_path, ring_key, replicas):
        """Puts a replica that knows nothing in the place of the one before, which writes what it has to."""

        async def start():
            await replicas.replica.close()
            replicas.replica = await make(config(tmp_path, model, store=ring_key))
            replicas.calls.clear()

        await start()
        return start

    @pytest.fixture
    def engine(self, model, replicas, anew, monkeypatch):
        """Of a server that has just been started."""
        monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.01)
        return ClusterEngine(ModelInfo.of(model), RemoteDevice(replicas, 8, 256 * MIB, has_store=True))

    async def test_what_lies_there_takes_no_encoder_and_no_pixels(self, model, engine, replicas, anew):
        told, asked = [], job(slide=SLIDE, read=unreadable, is_lasting=True, on_encode=lambda: told.append(1))
        assert await engine.to_encode(asked) == [asked.field.high]
        first = await engine.predict(job(slide=SLIDE, is_lasting=True, on_encode=lambda: told.append(0)))
        assert first.times.encoder_runs == 1
        assert [name for name, _ in replicas.calls] == ["look", "look", "encode", "predict"]
        # A replica that was lost, to a server that does not know it.
        await anew()
        second = await engine.predict(asked)
        assert [name for name, _ in replicas.calls] == ["predict"]
        # And a server that knows nothing.
        await anew()
        engine = ClusterEngine(ModelInfo.of(model), RemoteDevice(replicas, 8, 256 * MIB, has_store=True))
        assert await engine.to_encode(asked) == []
        third = await engine.predict(asked)
        assert [name for name, _ in replicas.calls] == ["look", "look", "escalate", "predict"]
        for answer in (second, third):
            assert np.array_equal(answer.logits, first.logits)
            assert (answer.times.encoder_runs, answer.times.encode) == (0, 0)
            assert answer.times.read > 0
        assert told == [0]

    async def test_a_damaged_entry_is_encoded_from_pixels(self, engine, replicas, ring_key, anew):
        asked = job(slide=SLIDE, is_lasting=True)
        first = await engine.predict(asked)
        await anew()
        (file,) = ring_key.rglob("*.embedding")
        file.write_bytes(file.read_bytes()[:-1] + b"?")
        again = await engine.predict(asked)
        assert again.times.encoder_runs == 1
        assert np.array_equal(again.logits, first.logits)
        assert [name for name, _ in replicas.calls] == ["predict", "look", "encode", "predict"]

    async def test_pixels_of_clients_are_neither_kept_nor_sought_there(self, engine, replicas, ring_key, anew):
        await engine.predict(job(slide=SLIDE))
        assert [name for name, _ in replicas.calls] == ["encode", "predict"]
        await anew()
        assert list(ring_key.iterdir()) == []

    async def test_a_disk_of_which_nothing_is_heard_stops_nobody(self, engine, replicas):
        replicas.failing = 1
        assert (await engine.predict(job(slide=SLIDE, is_lasting=True))).times.encoder_runs == 1
        assert [name for name, _ in replicas.calls] == ["look", "encode", "predict"]

    async def test_a_machine_without_the_folder_is_named(self, model, tmp_path):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(ClusterError, match=f"{socket.gethostname()} has no folder .*file/embeddings"):
            await make(config(tmp_path, model, store=tmp_path / "file" / "embeddings"))


async def test_replicas_read_as_much_of_the_low_resolution_as_the_server_was_told_to(real, tmp_path):
    """The recipe says how much, and the settings are compared."""
    middle = WsiSam.from_name("wsisam-lite")
    middle.set_low_reading("middle")
    with pytest.raises(ClusterError, match="low_middle=False"):
        await make(config(tmp_path, real, default=ModelInfo.of(middle)))
    store, asked = tmp_path / "embeddings", job(slide=SLIDE, is_lasting=True)
    one_thread = Device(64 * MIB, threads=1)
    expected = await LocalEngine(middle, one_thread).predict(asked)
    await one_thread.close()
    for runs in (2, 0):
        replica = await make(config(tmp_path, middle, store=store))
        device = RemoteDevice(InThisProcess(replica), 8, 256 * MIB, has_store=True)
        engine = ClusterEngine(ModelInfo.of(middle), device)
        answer = await engine.predict(asked)
        assert answer.times.encoder_runs == runs
        assert np.array_equal(answer.logits, expected.logits)
        assert await engine.to_encode(asked) == []
        await device.close()
        await replica.close()


async def test_a_healthy_replica_says_nothing(replicas):
    await replicas.replica.check_health()


async def test_an_error_of_one_prompt_leaves_the_replica_running(engine, model, monkeypatch):
    def broken(high, low, prompt, **more):
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(model, "decode", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        await engine.predict(job())
