"""The local engine with the real default model and a store on the disk."""

import asyncio
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from support.one_window import one_window
from wsisam_model import EmbeddingError, EncoderOutput, WsiSam, registry
from wsisam_model.additions import Additions, pack
from wsisam_model.loading import load
from wsisam_server.core.geometry import Box, FieldPair, Window
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.core.settings import MIB
from wsisam_server.inference.embeddings import EmbeddingStore
from wsisam_server.inference.scheduler import Device, Job, LocalEngine, ModelInfo, StoredFeatures

SLIDE = "5" * 64


@pytest.fixture(scope="module")
def model():
    return one_window()


@pytest.fixture(scope="module")
def features(model):
    """What the encoder makes of the window of `job`."""
    return model.features(pixels(None))


@pytest.fixture
def store(tmp_path):
    return EmbeddingStore(tmp_path / "embeddings", 64 * MIB)


@pytest.fixture
def stored(model, store):
    return StoredFeatures(model, store)


@pytest.fixture
def filled(stored, features):
    stored.save(SLIDE, job().field.high, "high", features)
    return stored


def pixels(_):
    image = np.full((256, 256, 3), 230, np.uint8)
    image[70:180, 70:180] = (120, 60, 130)
    return image


def job(x=0.0, **more):
    prompt = SlidePrompt(box=Box(x + 60, 60, x + 190, 190))
    field = FieldPair(Window(x, 0.0, 1.0, 256))
    return Job(slide_id=SLIDE, read=pixels, field=field, prompt=prompt, **{"is_lasting": True, **more})


async def asked(model, store, *jobs):
    """The answers of an engine that has just been started."""
    device = Device(128 * MIB, store=store)
    try:
        return await asyncio.gather(*(LocalEngine(model, device).predict(one) for one in jobs))
    finally:
        await device.close()


async def test_what_one_engine_encoded_the_next_one_finds(model, store):
    (first,) = await asked(model, store, job())
    told = []
    (again,) = await asked(model, store, job(on_encode=lambda: told.append(1)))
    assert (first.times.encoder_runs, again.times.encoder_runs) == (1, 0)
    assert again.times.encode == 0 < again.times.read
    assert not told
    assert np.array_equal(first.logits, again.logits)
    assert first.score == again.score


async def test_all_who_wait_for_one_entry_see_that_nothing_was_encoded(model, store, filled):
    device = Device(128 * MIB, store=store)
    engine = LocalEngine(model, device)
    assert await engine.to_encode(job()) == []
    assert engine.missing_windows(job()) == [job().field.high]
    answers = await asyncio.gather(*(engine.predict(job()) for _ in range(3)))
    assert [answer.times.encoder_runs for answer in answers] == [0, 0, 0]
    assert store.counters.hits == 1
    await device.close()


async def test_a_damaged_entry_is_encoded_and_written_again(model, store, filled, features):
    (file,) = store.folder.rglob("*.embedding")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    (answer,) = await asked(model, store, job())
    assert answer.times.encoder_runs == 1
    assert store.counters.damaged == 1
    assert torch.equal(filled.load(SLIDE, job().field.high, "high").embedding, features.embedding)


def test_entries_that_another_program_wrote_are_removed(store, stored, features):
    window = job().field.high
    cut = EncoderOutput(features.embedding[:, :7], features.early)
    for foreign in (cut.to_bytes(), b"no tensors", features.to_bytes()[:-1]):
        store.put(stored._key(SLIDE, window, "high", ""), foreign)
        assert stored.load(SLIDE, window, "high") is None
        assert not stored.has(SLIDE, window, "high")
    assert store.counters.damaged == 3


async def test_pixels_of_clients_never_get_to_the_disk(model, store, filled):
    (answer,) = await asked(model, store, job(is_lasting=False))
    assert answer.times.encoder_runs == 1
    assert store.counters.hits == store.counters.written - 1 == 0


async def test_a_disk_that_cannot_be_written_fails_no_prompt(model, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        answers = await asked(model, EmbeddingStore(tmp_path / "file" / "embeddings", 64 * MIB), job(), job(900.0))
    assert [answer.times.encoder_runs for answer in answers] == [1, 1]
    assert sum("cannot be written" in record.message for record in caplog.records) == 1


def test_entries_differ_by_all_that_makes_them_different(model, store, stored, filled):
    high = job().field.high
    assert stored.has(SLIDE, high, "high")
    for window in (job(0.5).field.high, replace(high, downsample=2.0), replace(high, size=1024)):
        assert not stored.has(SLIDE, window, "high")
    assert not stored.has("6" * 64, high, "high")

    class Other:
        encoder_hash, dtype, encoder_runner = model.encoder_hash, model.dtype, model.encoder_runner
        middle = False

        def encodes_middle(self, role):
            return self.middle and role == "low"

    other = Other()
    assert StoredFeatures(other, store).has(SLIDE, high, "high")
    assert StoredFeatures(other, store).has(SLIDE, high, "low")
    other.middle = True
    assert StoredFeatures(other, store).has(SLIDE, high, "high")
    assert not StoredFeatures(other, store).has(SLIDE, high, "low")
    other.dtype = torch.bfloat16
    assert not StoredFeatures(other, store).has(SLIDE, high, "high")
    other.dtype, other.encoder_hash = model.dtype, "another"
    assert not StoredFeatures(other, store).has(SLIDE, high, "high")


def test_an_entry_takes_what_was_said(store, stored, filled):
    assert stored.nbytes("high") - 500 < store.nbytes <= stored.nbytes("high")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_features_come_back_to_the_bit(features, dtype):
    features = EncoderOutput.of(each.to(dtype) for each in features.tensors)
    again = EncoderOutput.from_bytes(features.to_bytes())
    assert all(
        torch.equal(one, other) and one.stride() == other.stride() and one.dtype == other.dtype
        for one, other in zip(features.tensors, again.tensors, strict=True)
    )


@pytest.fixture(scope="module")
def other_last_stage(tmp_path_factory):
    """The default model with another last stage of the encoder."""
    _, files = registry.resolve("wsisam-lite")
    shipped = Additions.read(files.additions, base=None)
    encoder = load(files.sam).encoder
    names = encoder.last_stage_names()
    tensors = {f"encoder.{name}": encoder.get_parameter(name).detach() * 0.9 for name in names}
    path = tmp_path_factory.mktemp("other") / "additions.safetensors"
    tensors = {**shipped.checkpoint.without(("encoder.",)).tensors, **tensors}
    path.write_bytes(pack(shipped.base, shipped.trained, tensors, shipped.settings, last_stage=True))
    model = WsiSam.from_name("wsisam-lite", additions=path)
    model.set_low_reading("none")
    return model


async def test_new_weights_of_the_last_stage_go_on_from_what_the_old_ones_stored(other_last_stage, store):
    old = other_last_stage
    (first,) = await asked(old, store, job())
    new = WsiSam.from_name("wsisam-lite")
    new.set_low_reading("none")
    (fresh,) = await asked(new, EmbeddingStore(store.folder.parent / "fresh", 64 * MIB), job())
    (found,) = await asked(new, store, job())
    assert (first.times.encoder_runs, fresh.times.encoder_runs, found.times.encoder_runs) == (1, 1, 0)
    assert not np.allclose(first.logits, fresh.logits, atol=1e-2)
    np.testing.assert_allclose(found.logits, fresh.logits, atol=1e-3)
    # The entry is the new model's now: its last stage does not run again.
    kept = StoredFeatures(new, store).load(SLIDE, job().field.high, "high")
    assert new.with_own_last_stage(kept) is kept
    assert kept.frozen is not None


async def test_what_was_stored_without_the_last_stages_input_is_encoded_again(other_last_stage, store):
    features = other_last_stage.features(pixels(None))
    window = job().field.high
    stored = StoredFeatures(other_last_stage, store)
    # As a model keeps it whose encoder is the base's.
    stored.save(SLIDE, window, "high", features._replace(frozen=None, last_stage=b""))
    assert stored.load(SLIDE, window, "high") is None
    (answer,) = await asked(other_last_stage, store, job())
    assert answer.times.encoder_runs == 1
    assert stored.load(SLIDE, window, "high").last_stage == features.last_stage


def test_an_entry_with_the_last_stages_input_takes_what_was_said(other_last_stage, store):
    stored = StoredFeatures(other_last_stage, store)
    stored.save(SLIDE, job().field.high, "high", other_last_stage.features(pixels(None)))
    assert stored.nbytes("high") - 500 < store.nbytes <= stored.nbytes("high")


@pytest.mark.parametrize("data", [b"", b"no tensors at all", bytes(100)])
def test_bytes_that_hold_no_tensors_are_refused(data):
    with pytest.raises(EmbeddingError):
        EncoderOutput.from_bytes(data)


async def test_of_low_images_the_middle_alone_may_be_kept(store):
    middle = WsiSam.from_name("wsisam-lite")
    middle.set_low_reading("middle")
    (first,) = await asked(middle, store, job())
    (again,) = await asked(middle, store, job())
    assert (first.times.encoder_runs, again.times.encoder_runs) == (2, 0)
    assert (first.logits == again.logits).all()
    low = StoredFeatures(middle, store).load(SLIDE, ModelInfo.of(middle).low_window(job().field), "low")
    assert low.embedding.shape == (1, 256, 28, 28)


def test_number_types_have_entries_of_their_own_and_float32_serves_all(model, filled, features, monkeypatch):
    """What another type made is never float32's; where there is nothing of that type, float32's is of use."""
    place = SLIDE, job().field.high, "high"
    other = features._replace(embedding=features.embedding * 1.01, number_type="bfloat16")
    monkeypatch.setattr(model.encoder, "number_type", "bfloat16")
    assert torch.equal(filled.load(*place).embedding, features.embedding)
    assert filled.load(*place).number_type == ""
    filled.save(*place, other)
    assert torch.equal(filled.load(*place).embedding, other.embedding)
    assert filled.load(*place).number_type == "bfloat16"
    monkeypatch.undo()
    assert torch.equal(filled.load(*place).embedding, features.embedding)


async def test_in_memory_number_types_do_not_meet(model, monkeypatch):
    device = Device(128 * MIB)
    try:
        engine = LocalEngine(model, device)
        assert (await engine.predict(job())).times.encoder_runs == 1
        assert (await engine.predict(job())).times.encoder_runs == 0
        monkeypatch.setattr(model.encoder, "number_type", "bfloat16")
        assert (await engine.predict(job())).times.encoder_runs == 1
    finally:
        await device.close()
