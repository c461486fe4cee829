"""A base with random weights, and data sets of drawn discs. Features are made by a stand-in for the encoder: a random
projection of the window's colours, which tells the discs from their ground and costs nothing."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer

from wsisam_model.loading import load
from wsisam_model.tiny_vit import TinyVitEncoder
from wsisam_server.learning.training import TrainOptions
from wsisam_server.learning.training.cache import FeatureCache, Features
from wsisam_server.learning.training.examples import Examples
from wsisam_server.learning.training.sources import Source


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    # two threads wait for each other on cores that other tests use too
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def sam_file(tmp_path_factory):
    """A 256 px SAM checkpoint with random weights."""
    torch.manual_seed(0)
    encoder = TinyVitEncoder(strided_stem=False)
    prompts = PromptEncoder(embed_dim=256, image_embedding_size=(64, 64), input_image_size=(256, 256), mask_in_chans=16)
    transformer = TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
    decoder = MaskDecoder(transformer_dim=256, transformer=transformer)
    state = {f"image_encoder.{encoder.file_key(key)}": value for key, value in encoder.state_dict().items()}
    state |= {f"prompt_encoder.{key}": value for key, value in prompts.state_dict().items()}
    state |= {f"mask_decoder.{key}": value for key, value in decoder.state_dict().items()}
    path = tmp_path_factory.mktemp("base") / "sam.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="session")
def base(sam_file):
    return load(sam_file)


@pytest.fixture(scope="session")
def encode():
    """The stand-in for the encoder."""
    random = torch.Generator().manual_seed(1)
    to_embedding, to_early = torch.randn(256, 3, generator=random), torch.randn(160, 3, generator=random)

    def run(image, /):
        pixels = torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)
        small = torch.nn.functional.avg_pool2d(pixels, 4)
        return Features(
            torch.einsum("dc,chw->dhw", to_embedding, small).half(), torch.einsum("dc,chw->dhw", to_early, small).half()
        )

    return run


@pytest.fixture
def manifest(tmp_path):
    """Writes a data set of images with three discs each, and returns its manifest."""

    def write(name="discs", splits=("train", "train", "val"), side=192):
        folder = tmp_path / name
        folder.mkdir()
        lines = ["image,mask,split"]
        for index, split in enumerate(splits):
            random = np.random.default_rng(index)
            y, x = np.mgrid[:side, :side]
            labels = np.zeros((side, side), np.uint8)
            for label, (row, column) in enumerate(((0.25, 0.25), (0.3, 0.75), (0.75, 0.5)), start=1):
                radius = random.uniform(0.08, 0.18) * side
                labels[(y - row * side) ** 2 + (x - column * side) ** 2 < radius**2] = label
            image = np.where((labels > 0)[..., None], (90, 40, 120), (235, 200, 220)).astype(np.uint8)
            Image.fromarray(image).save(folder / f"{index}.png")
            Image.fromarray(labels).save(folder / f"{index}_mask.png")
            lines.append(f"{index}.png,{index}_mask.png,{split}")
        path = folder / f"{name}.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.fixture
def store(tmp_path, encode):
    return Examples(FeatureCache(tmp_path / "features"), encode, "base", 256)


@pytest.fixture
def examples(store, manifest):
    """Makes this many training examples of discs."""
    from wsisam_server.learning.training.sources import split_rows

    source = Source(manifest("examples"))

    def make(count):
        return list(store.draw(source, split_rows(source)[0], count, seed=0))

    return make


@pytest.fixture
def options():
    """The smallest run, with what is given changed."""
    small = TrainOptions(
        steps=4, batch=1, windows=2, validation_objects=1, save_every=2, validate_every=2, patience=None
    )
    return lambda **changes: dataclasses.replace(small, **changes)
