"""Fixtures of the model's tests: seeded weights of two kinds, and images.

`random_files` need nothing beside this repository. The reference's files and numbers lie in a folder beside the
checkout (or in $WSISAM_SHARED); where that is missing, what needs it is skipped with one and the same reason.
"""

import copy
import importlib.util
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer

from wsisam_model import WsiSam
from wsisam_model.branch import WsiParts
from wsisam_model.encoder import EncoderOutput
from wsisam_model.tiny_vit import TinyVitEncoder

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    # two threads wait for each other on cores that other tests use too
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def reference():
    """The reference folder, as a Path."""
    folder = Path(os.environ.get("WSISAM_SHARED", ROOT.parent / "shared")) / "reference"
    if not (folder / "golden_dev.npz").is_file():
        pytest.skip("needs ../shared/reference")
    return folder


@pytest.fixture(scope="session")
def seeded(reference, tmp_path_factory):
    """The reference's seeded checkpoint files (sam, high, low) and its image(seed) as uint8 [1024, 1024, 3]."""
    spec = importlib.util.spec_from_file_location("seeded_checkpoint", reference / "seeded_checkpoint.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    folder = tmp_path_factory.mktemp("seeded")
    dicts = script.state_dicts()
    torch.save(dicts["sam"], folder / "mobile_sam.pt")
    torch.save({"model": dicts["high"]}, folder / "net_high.pth")
    torch.save({"model": dicts["low"]}, folder / "net_low.pth")
    return SimpleNamespace(
        files={"sam": folder / "mobile_sam.pt", "high": folder / "net_high.pth", "low": folder / "net_low.pth"},
        image=lambda seed: script.image(seed).permute(1, 2, 0).numpy(),
    )


@pytest.fixture(scope="session")
def random_states():
    """State dicts of a 256 px model with random weights, by part, under the names of published files."""
    torch.manual_seed(0)
    encoder = TinyVitEncoder(strided_stem=False)
    prompt_encoder = PromptEncoder(
        embed_dim=256, image_embedding_size=(64, 64), input_image_size=(256, 256), mask_in_chans=16
    )

    def decoder():
        transformer = TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
        return MaskDecoder(transformer_dim=256, transformer=transformer).state_dict()

    frozen = decoder()
    return {
        "sam": {f"image_encoder.{encoder.file_key(key)}": value for key, value in encoder.state_dict().items()}
        | {f"prompt_encoder.{key}": value for key, value in prompt_encoder.state_dict().items()}
        | {f"mask_decoder.{key}": value for key, value in frozen.items()},
        "high": frozen | WsiParts(160).state_dict(),
        "low": frozen | WsiParts(160).state_dict(),
        "low_other_decoder": decoder() | WsiParts(160).state_dict(),
    }


@pytest.fixture(scope="session")
def random_files(random_states, tmp_path_factory):
    """The same as files: sam, high, low, low_other_decoder."""
    folder = tmp_path_factory.mktemp("random")
    for part, state in random_states.items():
        torch.save(state, folder / f"{part}.pth")
    return {part: folder / f"{part}.pth" for part in random_states}


class RememberingEncoder(torch.nn.Module):
    """An encoder that encodes each image once in a test session, in float32: one encode takes seconds."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.dtype = torch.float32
        self.known = {}

    def of(self, dtype):
        """The same memory, for a model of another dtype."""
        other = copy.copy(self)
        other.dtype = dtype
        return other

    def forward(self, pixels):
        key = pixels.float().numpy().tobytes()
        if key not in self.known:
            self.known[key] = self.encoder(pixels.float())
        return EncoderOutput.of(each.to(self.dtype) for each in self.known[key].tensors)


@pytest.fixture(scope="session")
def make_model(random_files):
    """Loads a model of the random files: which of them, by part, and keywords of `from_files`."""
    remembering = RememberingEncoder(WsiSam.from_files(random_files["sam"])._encoder)

    def make(*parts, **keywords):
        model = WsiSam.from_files(*(random_files[part] for part in parts), **keywords)
        model._encoder = remembering.of(model.dtype)
        return model

    return make


@pytest.fixture(scope="session")
def model(make_model):
    return make_model("sam", "high", "low")


@pytest.fixture(scope="session")
def sam_model(make_model):
    return make_model("sam")


@pytest.fixture(scope="session")
def images():
    """Two uint8 images of 256 px."""
    random = np.random.default_rng(7)
    return [random.integers(0, 256, (256, 256, 3), dtype=np.uint8) for _ in range(2)]


@pytest.fixture(scope="session")
def encoded(model, images):
    """Their lazily prepared embeddings: high and low."""
    return [model.encode(image) for image in images]


@pytest.fixture(scope="session")
def assert_close():
    """Asserts max|diff| <= tolerance * max|expected|."""

    def check(actual, expected, tolerance):
        actual, expected = (np.asarray(value, np.float64) for value in (actual, expected))
        assert actual.shape == expected.shape
        error, scale = np.abs(actual - expected).max(), np.abs(expected).max()
        assert error <= tolerance * scale, f"off by {error:.2e}, allowed {tolerance:.0e} of {scale:.2e}"

    return check
