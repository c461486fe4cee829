"""Named models in a folder, made of the weights that the default model has."""

import tempfile
from pathlib import Path

import torch

from wsisam_model import registry
from wsisam_model.checkpoint import Checkpoint
from wsisam_model.tiny_vit import TinyVitEncoder
from wsisam_server.core.settings import MIB
from wsisam_server.inference.weights import ModelSpec, WeightsFolder, add


class Quiet:
    """Hears what adding is at, and remembers it."""

    def __init__(self):
        self.fetched = {}
        self.checked = 0

    def fetching(self, part, done, total):
        self.fetched[part] = (done, total)

    def checking(self):
        self.checked += 1


def files():
    """The default model's SAM checkpoint and what was trained for it, as Paths."""
    return registry.resolve(registry.DEFAULT)[1]


def add_plain(folder, name="plain", **more):
    """Adds LiteMedSAM alone, left where it is."""
    return add(folder, ModelSpec(name, {"sam": str(files().sam)}, link=True, **more), Quiet())


def add_trained(folder, name="trained", **more):
    """Adds the default model under another name, its own files left where they are."""
    return add(folder, ModelSpec(name, {"additions": str(files().additions)}, link=True, **more), Quiet())


def add_larger(folder, name):
    """Adds a model of 1024 px input, with an encoder by chance."""
    encoder = TinyVitEncoder(strided_stem=True)
    state = {f"image_encoder.{encoder.file_key(key)}": value for key, value in encoder.state_dict().items()}
    known = Checkpoint.read(files().sam).tensors
    kept = {key: value for key, value in known.items() if not key.startswith("image_encoder.")}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "mobile_sam.pt"
        torch.save(kept | state, path)
        return add(folder, ModelSpec(name, {"sam": str(path)}), Quiet())


def two_models(path):
    """A folder with "plain" and "trained"."""
    folder = WeightsFolder(path)
    add_plain(folder, licence="Apache-2.0")
    add_trained(folder)
    return folder


def mib(folder, *names):
    """What models take in memory together, in whole MiB, rounded up."""
    return -(-sum(folder.record(name).nbytes for name in names) // MIB)
