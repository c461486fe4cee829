"""Additions that hold the last stage of the encoder, too."""

import pytest
import torch

from wsisam_model import EmbeddingError, EncoderOutput, ModelSettings, Prompt, WsiSam
from wsisam_model.additions import ROUTES, pack
from wsisam_model.errors import CheckpointError
from wsisam_model.loading import load


@pytest.fixture(scope="module")
def trained(random_files, tmp_path_factory):
    """Writes an additions file for the random base, whose last stage is the base's times a factor."""
    base = load(random_files["sam"])
    decoder = base.plain.high.decoder
    high = torch.load(random_files["high"], weights_only=True)
    added = {name: value for name, value in high.items() if name not in decoder.state_dict()}
    own = {f"{route}.high.{name}": value for route in ROUTES for name, value in added.items()}
    folder = tmp_path_factory.mktemp("trained")

    def made(factor, left_out=None, routes=ROUTES):
        names = [name for name in base.encoder.last_stage_names() if name != left_out]
        last_stage = {f"encoder.{name}": base.encoder.get_parameter(name).detach() * factor for name in names}
        path = folder / f"{factor}-{left_out}-{len(routes)}.safetensors"
        tensors = {name: value for name, value in own.items() if name.startswith(tuple(routes))}
        trained = dict.fromkeys(routes, "tokens")
        path.write_bytes(pack(base.weights_hash, trained, tensors | last_stage, ModelSettings(), last_stage=True))
        return path

    return made


@pytest.fixture(scope="module")
def models(random_files, trained):
    """Two models of one base: by the factor on their last stage."""
    return {factor: WsiSam.from_files(random_files["sam"], additions=trained(factor)) for factor in (1.0, 0.5)}


@pytest.fixture(scope="module")
def found(models, images):
    return {factor: model.features(images[0]) for factor, model in models.items()}


def test_only_the_last_stage_is_another(models, found, random_files, images, assert_close):
    plain = WsiSam.from_files(random_files["sam"]).features(images[0])
    assert plain.frozen is None
    for features in found.values():
        assert_close(features.early, plain.early, 1e-6)
        assert features.frozen.shape == (1, 160, 64, 64)
    # Half precision of the file is all that tells them apart.
    assert_close(found[1.0].embedding, plain.embedding, 2e-2)
    assert float((found[0.5].embedding - plain.embedding).abs().max()) > 0.1
    assert len({models[1.0].encoder_hash, models[0.5].encoder_hash}) == 1
    assert len({models[1.0].weights_hash, models[0.5].weights_hash}) == 2


def test_features_of_one_serve_the_other_from_the_frozen_stages_on(models, found, assert_close):
    again = EncoderOutput.from_bytes(found[1.0].to_bytes())
    assert again.last_stage == found[1.0].last_stage != found[0.5].last_stage
    other = models[0.5].with_own_last_stage(again)
    assert_close(other.embedding, found[0.5].embedding, 1e-4)
    assert models[0.5].with_own_last_stage(other) is other


def test_an_embedding_of_another_last_stage_is_not_decoded(models, found):
    with pytest.raises(EmbeddingError, match="another last stage"):
        models[0.5].prepare(found[1.0])
    bare = found[1.0]._replace(frozen=None)
    assert models[1.0].can_use(bare)
    assert not models[0.5].can_use(bare)
    with pytest.raises(EmbeddingError, match="kept without"):
        models[0.5].with_own_last_stage(bare)


def test_a_model_with_the_bases_last_stage_uses_them_too(random_files, found, images, assert_close):
    plain = WsiSam.from_files(random_files["sam"])
    own = plain.with_own_last_stage(found[0.5])
    assert_close(own.embedding, plain.features(images[0]).embedding, 1e-4)
    plain.decode_sam(plain.prepare(own), Prompt(box=(60, 60, 190, 190)))


def test_the_middle_of_an_image_goes_through_it_as_well(models, images):
    middle = models[0.5].features(images[0], middle=True)
    assert (middle.embedding.shape, middle.frozen.shape) == ((1, 256, 28, 28), (1, 160, 28, 28))


def test_a_file_that_lacks_a_part_of_it_is_refused(random_files, trained):
    with pytest.raises(CheckpointError, match=r"lacks tensors.*encoder\.neck\.0\.weight"):
        WsiSam.from_files(random_files["sam"], additions=trained(1.0, left_out="neck.0.weight"))


def test_weights_of_one_kind_of_prompt_alone_are_refused(random_files, trained):
    with pytest.raises(CheckpointError, match="not both clicks and boxes"):
        WsiSam.from_files(random_files["sam"], additions=trained(1.0, routes=("clicks",)))


def test_the_frozen_sam_is_asked_on_its_own_encoder(models, random_files, images, assert_close):
    changed, plain = models[0.5], WsiSam.from_files(random_files["sam"])
    prompt = Prompt(box=(40, 40, 200, 180))
    with pytest.raises(EmbeddingError, match="frozen_base"):
        changed.decode_sam(changed.encode(images[0]), prompt)
    base = changed.frozen_base()
    assert (base.device, base.dtype, plain.frozen_base()) == (changed.device, changed.dtype, plain)
    expected = plain.decode_sam(plain.encode(images[0]), prompt).logits
    assert_close(base.decode_sam(base.encode(images[0]), prompt).logits, expected, 1e-6)
