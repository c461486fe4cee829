"""Weights files: what is read, what is refused and with which names, and what identifies a model."""

import pickle

import pytest
import torch
from safetensors.torch import save_file

from wsisam_model import CheckpointError, WsiSam
from wsisam_model.checkpoint import Checkpoint, weights_hash


class Hostile:
    """Unpickling it would call print."""

    def __reduce__(self):
        return (print, ("ran",))


@pytest.fixture
def saved(tmp_path):
    def save(content):
        torch.save(content, tmp_path / "file.pth")
        return tmp_path / "file.pth"

    return save


@pytest.mark.parametrize(
    ("part", "change", "problem"),
    [
        ("sam", ("mask_decoder.iou_token.weight", None), "lacks"),
        ("sam", ("image_encoder.neck.0.weight", None), "lacks"),
        ("sam", ("image_encoder.layers.9.weight", torch.zeros(1)), "unknown"),
        ("sam", ("optimizer.step", torch.zeros(1)), "unknown"),
        ("sam", ("prompt_encoder.no_mask_embed.weight", torch.zeros(1, 128)), "shape"),
        ("sam", ("image_encoder.patch_embed.seq.0.c.weight", None), "no SAM checkpoint"),
        ("sam", ("epoch", 3), "more than tensors"),
        ("high", ("hf_token.weight", None), "lacks"),
        ("high", ("hf_token.bias", torch.zeros(1)), "unknown"),
        ("high", ("compress_vit_feat.0.weight", torch.zeros(768, 256, 2, 2)), "shape"),
        ("low", ("hf_token.weight", torch.zeros(1, 256, dtype=torch.int64)), "kind of number"),
        ("low", ("transformer.norm_final_attn.weight", None), "lacks"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(part, change, problem, random_states, random_files, saved):
    key, value = change
    changed = {name: tensor for name, tensor in random_states[part].items() if name != key}
    path = saved(changed if value is None else changed | {key: value})
    files = {name: random_files[name] for name in ("sam", "high", "low")} | {part: path}
    with pytest.raises(CheckpointError, match=problem) as raised:
        WsiSam.from_files(**files)
    assert raised.value.path == path
    assert key in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"not a checkpoint", pickle.dumps({"weight": Hostile()}), b"PK\x03\x04 not a zip"],
    ids=["empty", "text", "code", "zip"],
)
def test_files_that_are_no_checkpoint(content, tmp_path, capsys):
    path = tmp_path / "file.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a readable file of tensors only"):
        Checkpoint.read(path)
    assert capsys.readouterr().out == ""


def test_a_pickle_that_runs_code_is_not_run(saved, capsys):
    with pytest.raises(CheckpointError, match="not a readable file of tensors only"):
        Checkpoint.read(saved({"weight": Hostile()}))
    assert capsys.readouterr().out == ""


def test_a_truncated_file(random_files, tmp_path):
    path = tmp_path / "file.pth"
    path.write_bytes(random_files["high"].read_bytes()[:100_000])
    with pytest.raises(CheckpointError, match="not a readable file") as raised:
        Checkpoint.read(path)
    assert raised.value.key is None


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_is_not_there(suffix, tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        Checkpoint.read(tmp_path / f"file{suffix}")


@pytest.mark.parametrize("content", [torch.zeros(1), [torch.zeros(1)], {}, {"model": {}}])
def test_no_state_dict(content, saved):
    with pytest.raises(CheckpointError, match="no state dict"):
        Checkpoint.read(saved(content))


def test_keys_that_are_no_names(saved):
    with pytest.raises(CheckpointError, match="more than tensors: 0"):
        Checkpoint.read(saved({0: torch.zeros(1)}))


def test_the_first_keys_are_named_and_the_rest_counted(tmp_path):
    error = CheckpointError(tmp_path, "lacks tensors", [f"key{index}" for index in range(7)])
    assert str(error) == f"{tmp_path}: lacks tensors: key0, key1, key2, key3, key4 and 2 more"
    assert (error.key, len(error.keys)) == ("key0", 7)


def test_wrapped_and_safetensors_files_are_the_plain_one(random_states, saved, tmp_path):
    plain = random_states["high"]
    save_file({key: value.contiguous() for key, value in plain.items()}, tmp_path / "file.safetensors")
    for path in (saved({"model": plain, "epoch": 3}), tmp_path / "file.safetensors"):
        tensors = Checkpoint.read(path).tensors
        assert tensors.keys() == plain.keys()
        assert all(torch.equal(tensors[key], plain[key]) for key in plain)


def test_half_precision_files_are_widened(random_states, random_files, saved):
    path = saved({key: value.half() for key, value in random_states["high"].items()})
    model = WsiSam.from_files(random_files["sam"], path)
    assert {parameter.dtype for parameter in model._clicks.decoder.parameters()} == {torch.float32}


def test_mobile_sams_classifier_is_ignored(random_states, random_files, saved, sam_model):
    head = {"image_encoder.norm_head.weight": torch.ones(320), "image_encoder.head.bias": torch.ones(1000)}
    assert WsiSam.from_files(saved(random_states["sam"] | head)).weights_hash == sam_model.weights_hash


def test_low_needs_high(random_files):
    with pytest.raises(ValueError, match="high-resolution"):
        WsiSam.from_files(random_files["sam"], low=random_files["low"])


def test_the_hash_knows_every_byte_name_and_part(tmp_path):
    def of(part="sam", name="a", value=1.0, shape=(2, 2)):
        return weights_hash({part: Checkpoint(tmp_path, {name: torch.full(shape, value), "b": torch.tensor(3)})})

    variants = [of(), of(part="high"), of(name="c"), of(value=1.0000001), of(shape=(4, 1))]
    assert len(set(variants)) == len(variants)
    assert of() == of()
    assert len(of()) == 64


def test_the_hash_is_of_the_file_and_not_of_the_folded_weights(random_files, model):
    checkpoints = {part: Checkpoint.read(random_files[part]) for part in ("sam", "high", "low")}
    assert model.weights_hash == weights_hash(checkpoints)


def test_equal_frozen_decoders_are_one_module(model, random_files):
    assert model._clicks.decoder.high.decoder is model._sam.decoder.high.decoder is model._clicks.decoder.low.decoder
    other = WsiSam.from_files(random_files["sam"], random_files["high"], random_files["low_other_decoder"])
    assert other._clicks.decoder.low.decoder is not other._clicks.decoder.high.decoder


@pytest.mark.parametrize("prefix", ["", "sam."], ids=["exported", "of training"])
def test_the_forms_of_micro_sams_files_are_read_as_strictly(random_states, random_files, saved, prefix):
    state = {f"{prefix}{name}": tensor for name, tensor in random_states["sam"].items()}
    wrapped = {"model_state": state, "decoder_state": {"out_conv.weight": torch.zeros(1)}}
    assert WsiSam.from_files(saved(wrapped)).weights_hash == WsiSam.from_files(random_files["sam"]).weights_hash
    with pytest.raises(CheckpointError, match="unknown"):
        WsiSam.from_files(saved({"model_state": state | {f"{prefix}head.weight": torch.zeros(1)}}))
