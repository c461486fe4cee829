"""Reading the middle of low-resolution images alone, with the default model on a real slide."""

import dataclasses

import numpy as np
import pytest
import torch

from wsisam_model import EmbeddingError, ModelSettings, Prompt, SettingsError, WsiSam
from wsisam_server.core.geometry import FieldPair, Window
from wsisam_server.core.settings import Limits
from wsisam_server.slides import open_slide

BOX = Prompt(box=(60, 70, 150, 160))
CLICK = Prompt(points=((100, 120),), labels=(1,))
FIELDS = [FieldPair(Window(x, y, 1, 256)) for x, y in ((300, 400), (1100, 1400), (700, 2300))]


def loaded(reading):
    model = WsiSam.from_name()
    model.set_low_reading(reading)
    return model


@pytest.fixture(scope="module")
def whole():
    return loaded("whole")


@pytest.fixture(scope="module")
def middle():
    return loaded("middle")


@pytest.fixture(scope="module")
def images(real_slides):
    slide = open_slide(real_slides / "CMU-1-Small-Region.svs", Limits())
    return [(slide.read(pair.high), slide.read(pair.low)) for pair in FIELDS]


def dice(one, other):
    return 2 * np.sum((one > 0) & (other > 0)) / (np.sum(one > 0) + np.sum(other > 0))


def test_answers_are_nearly_those_of_the_whole(whole, middle, images):
    reached = {"box": [], "click": []}
    for high_image, low_image in images:
        high, low = whole.encode(high_image, roles=("high",)), whole.encode(low_image, roles=("low",))
        part = middle.encode(low_image, roles=("low",))
        assert part.nbytes < 0.2 * low.nbytes
        for kind, prompt in (("box", BOX), ("click", CLICK)):
            wanted = whole.decode(high, low, prompt).logits
            answers = (middle.decode(high, each, prompt).logits for each in (part, None))
            reached[kind].append([dice(answer, wanted) for answer in answers])
    for pairs in reached.values():
        with_middle, without = np.mean(pairs, axis=0)
        assert with_middle > 0.99
        assert 1 - with_middle < 0.5 * (1 - without)


def test_the_encoder_is_given_the_middle_only(middle, images, monkeypatch):
    seen = []
    forward = type(middle._encoder).forward
    monkeypatch.setattr(type(middle._encoder), "forward", lambda self, x: seen.append(x) or forward(self, x))
    middle.encode(images[0][1], roles=("low",))
    middle.encode(images[0][0], roles=("high",))
    part, full = seen
    assert part.shape == (1, 3, 112, 112)
    assert torch.equal(part, middle_of(images[0][1], middle))
    assert full.shape == (1, 3, 256, 256)


def middle_of(image, model):
    pixels = torch.from_numpy(image[72:184, 72:184].astype(np.float32)).permute(2, 0, 1)
    return ((pixels - model._mean) / model._std)[None]


def test_it_is_of_no_other_use(middle, images):
    high_image, low_image = images[0]
    low = middle.encode(low_image, roles=("low",))
    for misuse in (
        lambda: middle.decode(low, None, BOX),
        lambda: middle.decode_sam(low, BOX),
        lambda: middle.decode(middle.encode(high_image), low, BOX, want_low=True),
        lambda: middle.prepare(middle.features(low_image, middle=True), roles=("low", "high")),
        lambda: middle.prepare(middle.features(low_image, middle=True)),
    ):
        with pytest.raises(EmbeddingError):
            misuse()


def test_an_image_for_several_uses_is_encoded_whole(whole, middle, images):
    high, low = middle.encode(images[0][0], roles=("high", "low")), middle.encode(images[0][1])
    expected = whole.decode(whole.encode(images[0][0]), whole.encode(images[0][1]), CLICK).logits
    np.testing.assert_allclose(middle.decode(high, low, CLICK).logits, expected, atol=1e-4)


def test_who_cannot_says_so(random_files):
    with pytest.raises(SettingsError, match="no low-resolution branch"):
        WsiSam.from_files(random_files["sam"]).set_low_reading("middle")
    model = WsiSam.from_files(*(random_files[part] for part in ("sam", "high", "low")))
    model._encoder.takes_parts = False
    with pytest.raises(SettingsError, match="whole images only"):
        model.set_low_reading("middle")
    model.set_low_reading("none")
    assert not model.wants_low


def test_settings_of_a_file_may_ask_for_it(random_files):
    files = [random_files[part] for part in ("sam", "high", "low")]
    model = WsiSam.from_files(*files, settings=dataclasses.replace(ModelSettings(), low_middle=True))
    assert (model.encodes_middle("low"), model.encodes_middle("low_mask"), model.encodes_middle("high")) == (
        True,
        False,
        False,
    )
