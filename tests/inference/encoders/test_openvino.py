"""OpenVINO itself: what it makes of our encoders, and the whole way from a model to the change-over."""

import copy
import sys
from functools import partial

import numpy as np
import pytest
import torch

from wsisam_model import WsiSam, grid
from wsisam_model.tiny_vit import TinyVitEncoder
from wsisam_model.vit import VitEncoder, VitShape
from wsisam_server.inference.encoders import EncoderChoice, EncoderError, EncoderFolder, installed_version, preparing
from wsisam_server.inference.encoders.agreement import TOLERANCE, difference
from wsisam_server.inference.encoders.library import CompiledEncoder, compile_for, convert
from wsisam_server.inference.encoders.switching import CHECKS

# Not pytest.importorskip: what imports OpenVINO in any other way than ours reports it to its makers.
if installed_version() is None:
    pytest.skip("needs the extra openvino", allow_module_level=True)

# Tracing and compiling take seconds of the processor alone, and minutes on a machine where others want it.
pytestmark = pytest.mark.timeout(1800)


def with_last_stages_input():
    encoder = TinyVitEncoder(strided_stem=False)
    encoder.keeps_frozen = True
    return encoder


ENCODERS = {
    "TinyViT, 256 px, with the last stage's input": (with_last_stages_input, 256),
    "TinyViT, 1024 px": (lambda: TinyVitEncoder(strided_stem=True), 1024),
    # ViT-B's layers and image, at a hundredth of its cost
    "ViT": (lambda: VitEncoder(VitShape(dim=48, depth=2, heads=2, global_blocks=(1,))), 1024),
}


@pytest.fixture(scope="module", params=ENCODERS)
def case(request):
    """The frozen encoder, the same one compiled, and the sides of its images."""
    build, side = ENCODERS[request.param]
    torch.manual_seed(0)
    encoder = build().eval().requires_grad_(requires_grad=False)
    sides = [side, grid.middle_side(side)] if encoder.takes_parts else [side]
    converted = convert(copy.deepcopy(encoder), side)
    encoder.freeze()
    compiled = CompiledEncoder({side: compile_for(converted, side, 1) for side in sides}, 1)
    return encoder.to(memory_format=torch.channels_last), compiled, sides


@torch.inference_mode()
def test_agrees_with_torch_for_every_size_and_in_batches(case):
    encoder, compiled, sides = case
    for side in sides:
        count = 2 if side == sides[-1] else 1
        images = torch.randn(count, 3, side, side).contiguous(memory_format=torch.channels_last)
        assert compiled.takes(images)
        expected, made = encoder(images), compiled(images)
        assert difference(made, expected) <= TOLERANCE
        assert [tensor.shape for tensor in made.tensors] == [tensor.shape for tensor in expected.tensors]
        assert {tensor.dtype for tensor in made.tensors} == {torch.float32}
    # What was made stays when the next image is encoded.
    kept = made.embedding.clone()
    compiled(images[:1] + 1)
    assert torch.equal(made.embedding, kept)


def test_takes_no_other_size(case):
    _, compiled, sides = case
    assert not compiled.takes(torch.zeros(1, 3, sides[0] // 2, sides[0] // 2))
    assert not compiled.takes(torch.zeros(1, 3, sides[0], sides[0] // 2))


@pytest.mark.parametrize("data", [b"", b"no model", bytes(4096)])
def test_what_was_not_compiled_is_refused(data):
    with pytest.raises(EncoderError, match="cannot be loaded"):
        CompiledEncoder({256: data}, 1)


@pytest.fixture
def prompt_trial(monkeypatch):
    """Trials that do not step back: this test waits for them. One round, since no time is compared."""
    program = """
import sys
from wsisam_server.inference.encoders import trial
trial.ROUNDS = trial.LEAST_ROUNDS = 1
trial.step_back = lambda: None
trial.main(sys.argv[1:])
"""
    tried = partial(preparing.Preparation, command=(sys.executable, "-c", program))
    monkeypatch.setattr(preparing, "Preparation", tried)


@pytest.mark.usefixtures("prompt_trial")
def test_a_model_changes_over_and_a_later_start_begins_with_it(tmp_path):
    rng = np.random.default_rng(0)
    windows = [rng.integers(0, 255, (256, 256, 3), dtype=np.uint8) for _ in range(CHECKS + 1)]
    plain = WsiSam.from_name("wsisam-lite")
    model = EncoderChoice(tmp_path, "openvino", eager=True).apply(WsiSam.from_name("wsisam-lite"))
    model.features(windows[0], middle=True)
    model.encoder_runner.wait()
    (finding,) = EncoderFolder(tmp_path).all()
    assert finding.problem == ""
    assert set(finding.sizes) == {256, 112}
    assert all(size.difference <= TOLERANCE for size in finding.sizes.values())
    for window in windows:
        for middle in (False, True):
            ours, theirs = model.features(window, middle=middle), plain.features(window, middle=middle)
            assert difference(ours, theirs) <= TOLERANCE
            model.check(ours, middle=middle)
    assert model.encoder_runner.description.startswith("OpenVINO")

    later = EncoderChoice(tmp_path, "openvino", eager=True).apply(WsiSam.from_name("wsisam-lite"))
    later.features(windows[0], middle=True)
    later.encoder_runner.wait()
    assert later.encoder_runner.description.startswith("OpenVINO")
    forward = later.encoder.forward
    later.encoder.forward = lambda _: pytest.fail("torch ran")
    later.features(windows[1])
    later.encoder.forward = forward
