"""SAM's ViT encoders: against segment_anything's own code, with random weights."""

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor, sam_model_registry

from wsisam_model import CheckpointError, ModelSettings, Prompt, WsiSam
from wsisam_model.checkpoint import Checkpoint
from wsisam_model.encoder import EncoderOutput
from wsisam_model.spatial import as_map
from wsisam_model.variants import VARIANTS, detect
from wsisam_model.vit import VitEncoder, VitShape

MASK = np.random.default_rng(3).normal(size=(256, 256)).astype(np.float32)

PROMPTS = {
    "box": Prompt(box=(100, 120, 700, 820)),
    "points": Prompt(points=[(300, 401), (81, 900)], labels=[1, 0]),
    "box_points": Prompt(points=[(512, 512)], labels=[0], box=(201, 200, 900, 801)),
    "mask": Prompt(mask=MASK),
    "points_mask": Prompt(points=[(300, 401)], labels=[1], mask=MASK),
}


@pytest.fixture(scope="module")
def vit_b(tmp_path_factory):
    """segment_anything's predictor and our model, on the same weights and the same image embedding."""
    torch.manual_seed(1)
    sam = sam_model_registry["vit_b"]()
    path = tmp_path_factory.mktemp("vit") / "sam_vit_b.pth"
    torch.save(sam.state_dict(), path)
    model = WsiSam.from_files(path)
    image = np.random.default_rng(2).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    seen = []
    model._encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    embedding = model.encode(image)
    features = as_map(embedding.image)

    class Encoded(torch.nn.Module):
        """In place of the predictor's encoder: one encode of ViT-B takes ten seconds, and this module needs one."""

        img_size = sam.image_encoder.img_size

        def forward(self, pixels):
            seen.append(pixels)
            return features

    sam.image_encoder = Encoded()
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    return predictor, model, embedding, seen, path


@pytest.mark.slow
@pytest.mark.parametrize("kind", PROMPTS)
@pytest.mark.parametrize("multimask", [False, True])
def test_decode_sam_is_sam_predictor(kind, multimask, vit_b, assert_close, monkeypatch):
    predictor, model, embedding, _, _ = vit_b
    prompt = PROMPTS[kind]
    _, qualities, logits = predictor.predict(
        point_coords=np.array(prompt.points) if prompt.points else None,
        point_labels=np.array(prompt.labels) if prompt.points else None,
        box=None if prompt.box is None else np.array(prompt.box),
        mask_input=None if prompt.mask is None else prompt.mask[None],
        multimask_output=multimask and prompt.is_single_click,
    )
    monkeypatch.setattr(model, "settings", ModelSettings(multimask=multimask))
    prediction = model.decode_sam(embedding, prompt)
    best = qualities.argmax()
    assert_close(prediction.logits, logits[best], 1e-5)
    assert_close(prediction.iou, qualities[best], 1e-5)


@pytest.mark.slow
def test_images_are_normalised_as_sam_predictor_does(vit_b, assert_close):
    ours, theirs = vit_b[3]
    assert_close(ours, theirs, 1e-6)


@pytest.mark.slow
def test_sam_alone_answers_with_sams_mask(vit_b):
    _, model, embedding, _, _ = vit_b
    plain = model.decode_sam(embedding, PROMPTS["box"])
    prediction = model.decode(embedding, None, PROMPTS["box"])
    assert model.image_size == 1024
    assert not model.uses_low
    np.testing.assert_array_equal(prediction.logits, plain.logits)
    np.testing.assert_array_equal(prediction.sam_logits, plain.logits)


def test_encoder_is_segment_anythings_with_its_first_global_block(assert_close):
    torch.manual_seed(0)
    encoder = VitEncoder(VitShape(dim=32, depth=3, heads=2, global_blocks=(1, 2)))
    blocks = []
    encoder.trunk.blocks[1].register_forward_hook(lambda *call: blocks.append(call[2]))
    with torch.inference_mode():
        pixels = torch.randn(1, 3, 1024, 1024)
        output = encoder(pixels)
        expected = encoder.trunk(pixels)
    assert isinstance(output, EncoderOutput)
    assert_close(output.embedding, expected, 1e-6)
    assert_close(output.early.permute(0, 2, 3, 1), blocks[1], 1e-6)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_the_variant_follows_from_the_tensors(variant, tmp_path):
    encoder = variant.build()
    tensors = {
        f"image_encoder.{encoder.file_key(key)}": value.to("meta") for key, value in encoder.state_dict().items()
    }
    assert detect(Checkpoint(tmp_path, tensors)) is variant


@pytest.mark.parametrize("name", ["vit_l", "vit_h"])
def test_large_encoders_have_the_layout_of_segment_anything(name, tmp_path):
    with torch.device("meta"):
        sam = sam_model_registry[name]()
    variant = detect(Checkpoint(tmp_path, sam.state_dict()))
    encoder = variant.build()
    layout = {encoder.file_key(key): value.shape for key, value in encoder.state_dict().items()}
    assert layout == {key: value.shape for key, value in sam.image_encoder.state_dict().items()}
    blocks = zip(encoder.trunk.blocks, sam.image_encoder.blocks, strict=True)
    assert all(ours.window_size == theirs.window_size for ours, theirs in blocks)
    assert encoder.trunk.blocks[encoder.early_block].window_size == 0


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("image_encoder.patch_embed.seq.0.c.weight", (32, 3, 5, 5)),
        ("image_encoder.patch_embed.proj.weight", (384, 3, 16, 16)),
        ("image_encoder.patch_embed.proj.weight", ()),
    ],
)
def test_an_unknown_first_layer_is_named(key, shape, tmp_path):
    with pytest.raises(CheckpointError, match="no known encoder") as raised:
        detect(Checkpoint(tmp_path, {key: torch.empty(shape)}))
    assert raised.value.key == key
