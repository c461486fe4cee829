"""The published implementation's numbers, for every case and array that the reference stores."""

import numpy as np
import pytest

from wsisam_model import Prompt, WsiSam

TOLERANCE = 1e-4  # of the largest value; the published code's own float32 run is off by 2e-6

PROMPTS = {
    "box": Prompt(box=(100, 120, 700, 820)),
    "point": Prompt(points=[(512, 400)], labels=[1]),
    "points": Prompt(points=[(300, 401), (600, 640), (81, 900)], labels=[1, 1, 0]),
    "box_point": Prompt(box=(201, 200, 900, 801), points=[(512, 512), (230, 760)], labels=[1, 0]),
}


@pytest.fixture(scope="module")
def golden(reference):
    with np.load(reference / "golden_dev.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def model(seeded):
    return WsiSam.from_files(**seeded.files)


@pytest.fixture(scope="module")
def encoded(model, seeded):
    return model.encode(seeded.image(1)), model.encode(seeded.image(2))


def test_the_reference_has_no_case_that_is_not_checked(golden):
    decoded = {"wsi_high", "wsi_low", "sam_high", "iou", "sam_plain", "iou_plain"}
    checked = {f"{case}.{array}" for case in PROMPTS for array in decoded} | {"box.emb", "box.early"}
    assert set(golden) == checked


def test_encoder(model, seeded, golden, assert_close):
    features = model.features(seeded.image(1))
    assert_close(features.embedding[0, ::16, ::8, ::8], golden["box.emb"], TOLERANCE)
    assert_close(features.early[0].permute(1, 2, 0)[::8, ::8, ::16], golden["box.early"], TOLERANCE)


@pytest.mark.parametrize("case", PROMPTS)
def test_decode(case, model, encoded, golden, assert_close):
    prediction = model.decode(*encoded, PROMPTS[case], want_low=True)
    assert_close(prediction.logits[::2, ::2], golden[f"{case}.wsi_high"], TOLERANCE)
    assert_close(prediction.low_logits[::2, ::2], golden[f"{case}.wsi_low"], TOLERANCE)
    assert_close(prediction.sam_logits[::2, ::2], golden[f"{case}.sam_high"], TOLERANCE)
    assert_close([prediction.iou], golden[f"{case}.iou"], TOLERANCE)


@pytest.mark.parametrize("case", PROMPTS)
def test_decode_sam(case, model, encoded, golden, assert_close):
    prediction = model.decode_sam(encoded[0], PROMPTS[case])
    assert_close(prediction.logits[::2, ::2], golden[f"{case}.sam_plain"], TOLERANCE)
    assert_close([prediction.iou], golden[f"{case}.iou_plain"], TOLERANCE)
