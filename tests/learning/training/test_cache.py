"""Features are encoded once, and again where their file is not what it should be."""

import errno

import pytest
import torch

from wsisam_server.learning.training import TrainingError
from wsisam_server.learning.training.cache import FeatureCache, Features
from wsisam_server.learning.training.checkpoint import load_state, save_state


class Maker:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return Features(torch.full((256, 64, 64), 0.5).half(), torch.ones(160, 64, 64).half())


@pytest.fixture
def cached(tmp_path):
    cache, make = FeatureCache(tmp_path), Maker()
    cache.get("key", make)
    (file,) = tmp_path.iterdir()
    return cache, make, file


def test_encoded_once(cached, tmp_path):
    cache, make, _ = cached
    again = cache.get("key", make)
    assert make.calls == 1
    assert torch.equal(again.embedding, make().embedding)
    FeatureCache(tmp_path).get("key", make)
    assert make.calls == 2  # one of them above


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda _: b"",
        lambda _: b"no safetensors file at all",
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content.replace(b'"key":"key"', b'"key":"yek"'),
    ],
    ids=["torn", "empty", "foreign", "one bit", "of another window"],
)
def test_damaged_files_are_made_again(cached, damage):
    cache, make, file = cached
    whole = file.read_bytes()
    assert damage(whole) != whole
    file.write_bytes(damage(whole))
    cache.get("key", make)
    assert make.calls == 2
    cache.get("key", make)
    assert make.calls == 2


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    save_state(path, "run", {"step": 1})

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TrainingError, match=r"last.pt cannot be written \(No space left on device\)"):
        save_state(path, "run", {"step": 2})
    assert load_state(path, "run") == {"step": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["last.pt"]
