"""What Ray's batching brings together is decoded together, field by field. That it does is tested with Ray itself."""

import numpy as np
import pytest

from support.engine_contract import pixels
from support.one_window import one_window
from wsisam_model import Prompt
from wsisam_server.core.geometry import Window
from wsisam_server.core.settings import MIB
from wsisam_server.inference.scheduler import Device, Priority, QueueEntry

CLAIM = QueueEntry(Priority.INTERACTIVE_DECODE, "")


@pytest.fixture(scope="module")
def model():
    return one_window()


@pytest.fixture(scope="module")
def fields(model):
    return [model.encode(pixels(Window(x, 0.0, 1.0, 256)), roles=("high",)) for x in (0.0, 1000.0)]


@pytest.fixture(scope="module")
def batching(ray):
    """The module under test: it imports Ray."""
    from wsisam_server.inference.cluster import batching

    return batching


@pytest.fixture
async def engine(batching, model):
    device = Device(128 * MIB, threads=1)
    yield batching.BatchingEngine(model, device, most=8)
    await device.close()


@pytest.fixture
def asked(batching, fields):
    return [batching.QueuedPrompt(fields[n % 2], None, Prompt(box=(60 + n, 60, 190, 190)), CLAIM) for n in range(6)]


async def test_each_field_is_one_step_and_answers_keep_their_order(engine, model, asked, monkeypatch):
    real, steps = model.decode_many, []

    def counted(high, low, prompts, **more):
        steps.append(len(prompts))
        return real(high, low, prompts, **more)

    monkeypatch.setattr(model, "decode_many", counted)
    together = [prediction for prediction, _ in await engine._together(asked)]
    assert steps == [3, 3]
    for one, prediction in zip(asked, together, strict=True):
        ((alone, _),) = await engine._together([one])
        assert np.array_equal(prediction.logits, alone.logits)


async def test_one_fields_error_is_not_anothers(engine, model, fields, asked, monkeypatch):
    real = model.decode_many

    def broken(high, low, prompts, **more):
        if high is fields[0]:
            raise RuntimeError("shape mismatch")
        return real(high, low, prompts, **more)

    monkeypatch.setattr(model, "decode_many", broken)
    outcomes = await engine._together(asked)
    assert [isinstance(outcome, RuntimeError) for outcome in outcomes] == [True, False] * 3
