"""What was trained comes back from its file, answers the prompts it was trained for, and nothing else fits."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch

from wsisam_model import CheckpointError, ModelSettings, Prompt, WsiSam
from wsisam_model.additions import Additions, pack
from wsisam_model.embedding import Embedding
from wsisam_model.encoder import EncoderOutput
from wsisam_server.learning.training.export import export, weakened, with_calibration
from wsisam_server.learning.training.network import Network, stack

BOX = Prompt(box=(40, 50, 180, 200))
CLICK = Prompt(points=[(100, 120)], labels=[1])
BOX_AND_CLICK = Prompt(points=[(100, 120)], labels=[1], box=(40, 50, 180, 200))


@pytest.fixture(scope="module")
def networks(base):
    """Networks of both routes, moved off the base by chance."""
    torch.manual_seed(5)
    made = {"clicks": Network(base, "decoder"), "boxes": Network(base, "tokens")}
    with torch.no_grad():
        for network in made.values():
            for value in network.trained_parameters().values():
                value.add_(torch.randn_like(value) * 0.05)
                value.copy_(value.half())
    return made


@pytest.fixture(scope="module")
def file(base, networks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("additions")
    boxes, both = folder / "boxes.safetensors", folder / "both.safetensors"
    for path, route, beside in ((boxes, "boxes", None), (both, "clicks", boxes)):
        kept = None if beside is None else Additions.read(beside, base=base.weights_hash)
        network = networks[route]
        export(
            path,
            route,
            network.trained,
            network.trained_parameters(),
            base=base.weights_hash,
            settings=ModelSettings(mask_feedback=True),
            beside=kept,
        )
    return both


@pytest.fixture(scope="module")
def model(sam_file, file):
    return WsiSam.from_files(sam_file, additions=file)


@pytest.fixture(scope="module")
def features():
    random = torch.Generator().manual_seed(2)
    return [(torch.randn(256, 64, 64, generator=random), torch.randn(160, 64, 64, generator=random)) for _ in range(2)]


@pytest.fixture
def encoded(features):
    """Embeddings of a model, made of the given features: HR and LR."""

    def make(model):
        return [Embedding(model._origin, EncoderOutput(*(each[None] for each in pair))) for pair in features]

    return make


def expected(network, features, prompt, *, low):
    cpu = torch.device("cpu")
    high, other = (stack([pair], cpu) for pair in features)
    with torch.no_grad():
        return network(high, other if low else None, [prompt]).logits[0].numpy()


@pytest.mark.parametrize("low", [True, False])
@pytest.mark.parametrize(
    ("prompt", "route"), [(BOX, "boxes"), (CLICK, "clicks"), (BOX_AND_CLICK, "clicks")], ids=["box", "click", "both"]
)
def test_each_prompt_is_answered_by_the_weights_trained_for_it(model, encoded, networks, features, prompt, route, low):
    high, other = encoded(model)
    logits = model.decode(high, other if low else None, prompt).logits
    for name, network in networks.items():
        error = np.abs(logits - expected(network, features, prompt, low=low)).max() / np.abs(logits).max()
        assert (error < 1e-4) == (name == route), error


def test_weakened_additions_draw_their_part(networks, features):
    network = networks["boxes"]
    whole = {name: value.detach().clone() for name, value in network.trained_parameters().items()}
    drawn = []
    for strength in (0.0, 0.5, 1.0):
        network.load_state_dict(weakened(whole, strength), strict=False)
        drawn.append(expected(network, features, BOX, low=True))
    assert np.abs(drawn[1] - (drawn[0] + drawn[2]) / 2).max() < 1e-4 * np.abs(drawn[2]).max()
    assert np.abs(drawn[0] - drawn[2]).max() > 0.1
    assert all(torch.equal(value, whole[name]) for name, value in network.trained_parameters().items())


def test_the_base_answers_as_before(model, sam_file, encoded):
    plain = WsiSam.from_files(sam_file)
    for prompt in (BOX, CLICK):
        ours, theirs = model.decode_sam(encoded(model)[0], prompt), plain.decode_sam(encoded(plain)[0], prompt)
        assert (ours.logits == theirs.logits).all()
        assert ours.iou == theirs.iou


def test_prepared_embeddings_serve_both_routes(model, encoded):
    high, low = encoded(model)
    expected_answers = [model.decode(high, low, prompt).logits for prompt in (BOX, CLICK)]
    high, low = encoded(model)
    with torch.inference_mode():
        for embedding, role in ((high, "high"), (low, "low")):
            for route in (model._clicks, model._boxes):
                for part in model._parts(route, role):
                    embedding.part(part)
            embedding.seal([])
    for prompt, logits in zip((BOX, CLICK), expected_answers, strict=True):
        assert (model.decode(high, low, prompt).logits == logits).all()


def test_the_file_says_how_it_wants_to_be_used(model, sam_file, file):
    assert model.settings == ModelSettings(mask_feedback=True)
    assert model.uses_low
    assert WsiSam.from_files(sam_file).weights_hash != model.weights_hash
    alone = WsiSam.from_files(sam_file, additions=file, settings=ModelSettings(box_route=False))
    assert alone._boxes.decoder is alone._clicks.decoder


def test_a_file_may_ask_for_low_images_to_be_left_unread(sam_file, file, encoded):
    model = WsiSam.from_files(sam_file, additions=file, settings=ModelSettings(read_low=False))
    assert model.uses_low
    assert not model.wants_low
    assert not any(model.reads_low(prompt) for prompt in (BOX, CLICK))
    high, low = encoded(model)
    assert (model.decode(high, low, CLICK).logits != model.decode(high, None, CLICK).logits).any()


def test_a_file_of_clicks_alone_leaves_boxes_to_the_base(sam_file, base, networks, encoded, tmp_path):
    network = networks["clicks"]
    tensors = {f"clicks.{name}": value for name, value in network.trained_parameters().items()}
    path = tmp_path / "clicks.safetensors"
    path.write_bytes(pack(base.weights_hash, {"clicks": "decoder"}, tensors, ModelSettings()))
    model = WsiSam.from_files(sam_file, additions=path)
    high, low = encoded(model)
    assert (model.decode(high, low, BOX).logits == model.decode_sam(high, BOX).logits).all()
    assert not model.reads_low(BOX)
    for prompt in (CLICK, BOX_AND_CLICK):
        assert (model.decode(high, low, prompt).logits != model.decode_sam(high, prompt).logits).any()
        assert model.reads_low(prompt)


def test_a_file_of_boxes_alone_leaves_clicks_to_the_base(sam_file, file, encoded):
    model = WsiSam.from_files(sam_file, additions=file.with_name("boxes.safetensors"))
    high, low = encoded(model)
    assert (model.decode(high, low, CLICK).logits == model.decode_sam(high, CLICK).logits).all()
    assert (model.decode(high, low, BOX).logits != model.decode_sam(high, BOX).logits).any()


def test_the_same_weights_are_the_same_bytes(base, networks):
    network = networks["boxes"]
    tensors = {f"boxes.{name}": value for name, value in network.trained_parameters().items()}
    packed = {pack(base.weights_hash, {"boxes": "tokens"}, tensors, ModelSettings()) for _ in range(3)}
    assert len(packed) == 1


def test_what_ships_is_small_enough(file):
    assert file.stat().st_size < 12e6


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t, _: t.pop("clicks.high.hf_token.weight"), "lacks tensors: clicks.high.hf_token.weight"),
        (lambda t, _: t.pop("clicks.decoder.transformer.norm_final_attn.bias"), "lacks tensors"),
        (lambda t, _: t.update({"clicks.decoder.iou_token.weight": torch.zeros(1, 256)}), "holds unknown tensors"),
        (lambda t, _: t.update({"extra": torch.zeros(1)}), "holds unknown tensors: extra"),
        (lambda t, _: t.update({"boxes.low.hf_token.weight": torch.zeros(2, 256)}), "of another shape"),
        (lambda _, m: m.update(base="0" * 64), "trained for another base"),
        (lambda _, m: m.update(format=2), "its format is 2"),
        (lambda _, m: m.update(trained={"clicks": "everything"}), "does not say what was trained"),
        (lambda _, m: m.update(trained={}), "does not say what was trained"),
        (lambda _, m: m.update(settings={"new": 1}), "settings that this version does not know"),
        (lambda _, m: m.clear(), "its format is None"),
    ],
)
def test_nothing_else_fits(sam_file, file, tmp_path, change, problem):
    tensors = safetensors.torch.load_file(file)
    with safetensors.safe_open(file, framework="pt") as opened:
        metadata = json.loads(opened.metadata()["wsisam_additions"])
    change(tensors, metadata)
    changed = tmp_path / "changed.safetensors"
    changed.write_bytes(safetensors.torch.save(tensors, {"wsisam_additions": json.dumps(metadata)}))
    with pytest.raises(CheckpointError, match=problem):
        WsiSam.from_files(sam_file, additions=changed)


def test_a_file_without_our_metadata_is_none_of_ours(sam_file, tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(safetensors.torch.save({"weight": torch.zeros(1)}))
    with pytest.raises(CheckpointError, match="no file of additions"):
        WsiSam.from_files(sam_file, additions=path)


def test_additions_take_the_place_of_the_papers_files(sam_file, file):
    with pytest.raises(ValueError, match="takes the place"):
        WsiSam.from_files(sam_file, file, additions=file)


def candidates_of(network, features, prompt):
    with torch.no_grad():
        return network(stack([features[0]], torch.device("cpu")), None, [prompt], want_candidates=True).candidates


def test_a_files_own_mask_tokens_draw_the_candidates(base, sam_file, features, encoded, tmp_path):
    torch.manual_seed(6)
    network, file = Network(base, "decoder+masks"), tmp_path / "masks.safetensors"
    with torch.no_grad():
        for value in network.trained_parameters().values():
            value.add_(torch.randn_like(value) * 0.05)
            value.copy_(value.half())
    export(
        file,
        "clicks",
        network.trained,
        network.trained_parameters(),
        base=base.weights_hash,
        settings=ModelSettings(),
        beside=None,
    )
    model = WsiSam.from_files(sam_file, additions=file)
    assert not model.ranks_candidates  # what was trained is not yet measured
    with_calibration(file, file, {}, ranked=True)
    assert WsiSam.from_files(sam_file, additions=file).ranks_candidates
    high, _ = encoded(model)
    found = model.decode(high, None, CLICK, want_candidates=True).candidates
    wanted = candidates_of(network, features, CLICK)
    assert len(found) == 3
    for one, logits, quality in zip(found, wanted.logits[0], wanted.iou[0], strict=True):
        assert np.allclose(one.logits, logits.numpy(), atol=1e-3)
        assert one.iou == pytest.approx(float(quality), abs=1e-4)
    # prompts of a box alone have no route in this file: the base answers them, and draws their candidates
    plain = WsiSam.from_files(sam_file)
    boxed = plain.decode(encoded(plain)[0], None, BOX, want_candidates=True).candidates
    for one, other in zip(model.decode(high, None, BOX, want_candidates=True).candidates, boxed, strict=True):
        assert np.allclose(one.logits, other.logits, atol=1e-3)


def test_without_mask_tokens_of_its_own_the_bases_draw_them_and_nothing_ranks(model, networks, features, encoded):
    assert not model.ranks_candidates
    high, _ = encoded(model)
    found = model.decode(high, None, CLICK, want_candidates=True)
    wanted = candidates_of(networks["clicks"], features, CLICK)
    for one, logits in zip(found.candidates, wanted.logits[0], strict=True):
        assert np.allclose(one.logits, logits.numpy(), atol=1e-3)
    assert model.decode(high, None, CLICK).candidates == ()
    assert (model.decode(high, None, CLICK).logits == found.logits).all()
