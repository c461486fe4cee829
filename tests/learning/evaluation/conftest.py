"""A model without weights, whose answers are known, and images to try it on."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from wsisam_server.learning.datasets import Row

SIDE = 256


def mask(shown, score):
    return SimpleNamespace(logits=np.where(shown, 4.0, -4.0).astype(np.float32), iou=score, score=score)


@dataclass
class FakeModel:
    """Sees dark pixels. As frozen SAM it sees them only once it was clicked twice, or given a box.

    Attributes:
        seen: the prompts that reached it, in order, each with the variant's name.
        encoded: how many images.
        certain: its own answer is right; else only the candidate of the lowest score is.
        ranks_candidates: as of `WsiSam`.
    """

    uses_low: bool = True
    wants_low: bool = True
    trained: bool = True
    name: str = "fake"
    weights_hash: str = "ab" * 32
    image_size: int = SIDE
    seen: list = field(default_factory=list)
    encoded: int = 0
    certain: bool = True
    ranks_candidates: bool = False
    has_own_last_stage: bool = False

    def frozen_base(self):
        return self

    def encode(self, image, *, roles=None):
        self.encoded += 1
        return np.where(image.mean(axis=2) < 180, 4.0, -4.0).astype(np.float32)

    def encodes_middle(self, role):
        return False

    def decode(self, high, low, prompt, *, want_candidates=False):
        if not self.trained:
            return self.decode_sam(high, prompt)
        self.seen.append(("hr" if low is None else "hr+lr", prompt))
        others = (mask(high > 0, 0.2), mask(np.zeros_like(high, bool), 0.95), mask(np.ones_like(high, bool), 0.5))
        own = high if self.certain else np.full_like(high, -1.0)
        return SimpleNamespace(logits=own, iou=0.9, score=0.9, candidates=others if want_candidates else ())

    def decode_sam(self, image, prompt):
        self.seen.append(("sam", prompt))
        sees = prompt.box is not None or len(prompt.points) > 1
        return SimpleNamespace(logits=image if sees else np.full_like(image, -1.0), iou=0.6, score=0.6)


@pytest.fixture
def model():
    return FakeModel()


@pytest.fixture
def rows(tmp_path):
    """Two images of 300 x 200 with dark disks far from each other, and one without an object."""
    random = np.random.default_rng(0)
    made = []
    for line, radii in ((2, (22, 15)), (3, (30, 9)), (4, ())):
        labels = np.zeros((200, 300), np.uint8)
        down, across = np.mgrid[0:200, 0:300]
        for number, radius in enumerate(radii, start=1):
            x, y = 20 + 240 * (number - 1) + random.integers(10, 30), random.integers(40, 160)
            labels[(across - x) ** 2 + (down - y) ** 2 <= radius**2] = number
        image = np.where(labels[..., None] > 0, (90, 40, 120), (235, 225, 235)).astype(np.uint8)
        image_path, mask_path = tmp_path / f"image{line}.png", tmp_path / f"mask{line}.png"
        Image.fromarray(image).save(image_path)
        Image.fromarray(labels).save(mask_path)
        made.append(Row(line, image_path, mask_path))
    return made
