"""Decoding: against a straightforward computation without caches, one by one against many, with and without LR."""

import numpy as np
import pytest
import torch

from wsisam_model import EmbeddingError, EncoderOutput, ModelSettings, Prompt

MASK = np.random.default_rng(5).normal(size=(256, 256)).astype(np.float32)

PROMPTS = {
    "point": Prompt(points=[(128, 100)], labels=[1]),
    "points": Prompt(points=[(30, 41), (200.5, 90.25), (-3, 260)], labels=[1, 0, 1]),
    "box": Prompt(box=(25, 31, 175, 204)),
    "box_points": Prompt(points=[(128, 128), (60, 190)], labels=[1, 0], box=(51, 50, 225, 201)),
    "mask": Prompt(mask=MASK),
    "box_mask": Prompt(box=(25, 31, 175, 204), mask=MASK),
    "points_mask": Prompt(points=[(128, 100)], labels=[1], mask=MASK),
}
FIELDS = ("logits", "sam_logits", "iou", "low_logits")


def by_hand(model, high, low, prompt):
    """`decode(..., want_low=True)` with segment_anything's own modules and the published order of the work."""
    encoder, size = model._clicks.prompt_encoder, model.image_size
    as_map = lambda tokens: tokens.transpose(1, 2).reshape(1, 256, 64, 64)  # noqa: E731

    def run(branch, features, scale, offset, mask):
        points = torch.tensor([prompt.points]) * scale + offset if prompt.points else None
        box = None if prompt.box is None else torch.tensor([prompt.box]) * scale + offset
        labels = torch.tensor([prompt.labels]) if prompt.points else None
        sparse, dense = encoder(None if points is None else (points, labels), box, mask)
        decoder, parts = branch.decoder, branch.parts
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight, parts.hf_token.weight])
        tokens = torch.cat([own[None], sparse], dim=1)
        updated, image = decoder.transformer(features.embedding + dense, encoder.get_dense_pe(), tokens)
        upscaled = decoder.output_upscaling(as_map(image))
        fixed = parts.embedding_encoder(features.embedding) + parts.compress_vit_feat(features.early)
        fused = parts.embedding_maskfeature(upscaled) + fixed
        sam = torch.einsum("c,chw->hw", decoder.output_hypernetworks_mlps[0](updated[0, 1]), upscaled[0])
        return parts.hf_mlp(updated[0, 5]), fused[0], sam, decoder.iou_prediction_head(updated[0, 0])[0]

    mask = None if prompt.mask is None else torch.from_numpy(prompt.mask)[None, None]
    high_token, high_fused, high_sam, iou = run(model._clicks.decoder.high, high, 1.0, 0.0, mask)
    low_token, low_fused, low_sam, _ = run(model._clicks.decoder.low, low, 0.5, size / 4, None)
    token = high_token + low_token
    logits = torch.einsum("c,chw->hw", token, high_fused) + high_sam
    low_logits = torch.einsum("c,chw->hw", token, low_fused) + low_sam
    return {"logits": logits, "sam_logits": high_sam, "iou": iou, "low_logits": low_logits}


@pytest.fixture(scope="module")
def features(model, images):
    return [model.features(image) for image in images]


@pytest.fixture(scope="module")
def alone(model, encoded):
    return {kind: model.decode(*encoded, prompt, want_low=True) for kind, prompt in PROMPTS.items()}


@pytest.mark.parametrize("kind", PROMPTS)
def test_decode_is_the_published_computation(kind, alone, model, features, assert_close):
    with torch.inference_mode():
        expected = by_hand(model, *features, PROMPTS[kind])
    for field in FIELDS:
        assert_close(getattr(alone[kind], field), expected[field], 1e-5)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_many_are_each_as_if_alone_and_in_order(batch_size, make_model, encoded, alone, assert_close):
    many = make_model("sam", "high", "low", settings=ModelSettings(batch_size=batch_size))
    kinds = [*PROMPTS, "box", "points_mask", "box"]
    predictions = many.decode_many(*encoded, [PROMPTS[kind] for kind in kinds], want_low=True)
    assert len(predictions) == len(kinds)
    for kind, prediction in zip(kinds, predictions, strict=True):
        for field in FIELDS:
            assert_close(getattr(prediction, field), getattr(alone[kind], field), 1e-5)


def test_no_prompts_no_predictions(model, encoded):
    assert model.decode_many(*encoded, []) == []


def test_outputs_are_as_documented(model, encoded):
    prediction = model.decode(*encoded, PROMPTS["box"])
    assert prediction.low_logits is None
    assert isinstance(prediction.iou, float)
    for logits in (prediction.logits, prediction.sam_logits, model.decode_sam(encoded[0], PROMPTS["box"]).logits):
        assert (logits.shape, logits.dtype) == ((256, 256), np.float32)


def test_without_low_image_the_hr_token_answers_alone(model, encoded, images, make_model, assert_close):
    high, low = encoded
    alone, both = model.decode(high, None, PROMPTS["box"]), model.decode(high, low, PROMPTS["box"])
    assert np.abs(alone.logits - both.logits).max() > 1e-3 * np.abs(both.logits).max()
    assert_close(alone.sam_logits, both.sam_logits, 1e-6)
    single = make_model("sam", "high")
    assert (model.uses_low, single.uses_low) == (True, False)
    assert_close(single.decode(single.encode(images[0]), None, PROMPTS["box"]).logits, alone.logits, 1e-5)


def test_low_logits_need_a_low_image(model, encoded):
    with pytest.raises(EmbeddingError, match="low"):
        model.decode(encoded[0], None, PROMPTS["box"], want_low=True)


def test_sam_alone_ignores_low(sam_model, images):
    high, low = (sam_model.encode(image) for image in images)
    prediction = sam_model.decode(high, low, PROMPTS["box"], want_low=True)
    assert prediction.low_logits is None
    np.testing.assert_array_equal(prediction.logits, prediction.sam_logits)
    np.testing.assert_array_equal(prediction.logits, sam_model.decode_sam(high, PROMPTS["box"]).logits)


def test_multimask_takes_the_best_of_three_for_a_single_click(make_model, model, encoded, assert_close):
    settings = ModelSettings(multimask=True)
    best = make_model("sam", "high", "low", settings=settings)
    for kind in ("box", "points", "box_points"):
        np.testing.assert_array_equal(
            best.decode(*encoded, PROMPTS[kind]).logits, model.decode(*encoded, PROMPTS[kind]).logits
        )
    prediction, first = (each.decode(*encoded, PROMPTS["point"]) for each in (best, model))
    assert np.abs(prediction.sam_logits - first.sam_logits).max() > 0
    # the WSI term does not depend on the choice
    assert_close(prediction.logits - prediction.sam_logits, first.logits - first.sam_logits, 1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 0.01), ("bfloat16", 0.05)])
def test_half_precision_agrees_within_its_precision(make_model, images, model, assert_close, dtype, tolerance):
    """From float32's encodings: a CPU takes half a minute for one in half precision."""
    half = make_model("sam", "high", "low", dtype=dtype)
    features = model.features(images[0])
    rounded = EncoderOutput.of(tensor.to(half.dtype) for tensor in features.tensors)
    prediction = half.decode(half.prepare(rounded), None, PROMPTS["box_points"])
    exact = model.decode(model.prepare(features), None, PROMPTS["box_points"])
    assert half.dtype == getattr(torch, dtype)
    assert prediction.logits.dtype == np.float32
    assert_close(prediction.logits, exact.logits, tolerance)
    assert_close(prediction.sam_logits, exact.sam_logits, tolerance)


def test_unknown_dtype(make_model):
    with pytest.raises(ValueError, match="dtype"):
        make_model("sam", dtype="float64")


def test_a_batch_of_none_is_refused():
    with pytest.raises(ValueError, match="batch_size"):
        ModelSettings(batch_size=0)
