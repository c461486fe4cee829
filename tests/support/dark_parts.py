"""A model that finds what is dark, at no cost: for tests that ask much and mean what carries the answers."""

import hashlib
import itertools
import time
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from wsisam_model import ModelSettings, Prediction, SamPrediction
from wsisam_model.encoder import EncoderOutput

DARK = 170
"""Grey value below which a pixel belongs to an object."""


@dataclass(frozen=True)
class Darkness:
    """How much darker than DARK each pixel is, float32 [256, 256]: this model's embedding."""

    values: NDArray[np.float32]

    @property
    def nbytes(self):
        return self.values.nbytes


class DarkParts:
    """Stands in for `WsiSam`: the same calls, shapes and signs.

    The answer is what is dark in the box, or anywhere without one; a negative click takes a spot away. Of candidates
    the first is smaller than the answer, the second nearly the same, and the third larger.
    """

    name = "dark-parts"
    description = "finds what is dark; for tests"
    settings = ModelSettings(mask_feedback=True)
    weights_hash = hashlib.sha256(b"dark-parts").hexdigest()
    image_size = 256
    wants_low = False
    ranks_candidates = False
    nbytes = 0
    dtype, device = torch.float32, torch.device("cpu")
    encoder_runner = SimpleNamespace(description="darkness", number_type="")

    def encode(self, image, *, roles=None, prompt=None):
        return Darkness(DARK - image.mean(axis=2, dtype=np.float32))

    def features(self, image, *, middle=False):
        """As the real encoder's, of one channel a stage: how dark the mean of each position is."""
        cells = (DARK - image.mean(axis=2)).reshape(64, 4, 64, 4).mean(axis=(1, 3)).astype(np.float32)
        one = torch.from_numpy(cells)[None, None]
        return EncoderOutput(one, one)

    def prepare(self, features, *, roles=None, prompt=None):
        cells = features.embedding[0, 0].to(torch.float32).numpy()
        return Darkness(cells.repeat(4, axis=0).repeat(4, axis=1))

    def decode_many(self, high, low, prompts, *, want_candidates=False):
        return [self.decode(high, low, prompt, want_candidates=want_candidates) for prompt in prompts]

    def reads_low(self, prompt):
        return False

    def encodes_middle(self, role):
        return False

    def decode(self, high, low, prompt, *, want_candidates=False):
        logits = high.values.copy()
        places = np.arange(256)
        if prompt.box is not None:
            x0, y0, x1, y1 = prompt.box
            logits[(places < y0) | (places > y1)] = -DARK
            logits[:, (places < x0) | (places > x1)] = -DARK
        for (px, py), label in zip(prompt.points, prompt.labels, strict=True):
            if not label:
                logits[np.hypot(places - px, places[:, None] - py) < 8] = -DARK
        candidates = ()
        if want_candidates:
            smaller, larger = ndimage.minimum_filter(logits, 13), ndimage.maximum_filter(logits, 13)
            candidates = (
                SamPrediction(smaller, 0.5, 0.5),
                SamPrediction(logits - 1e-3, 0.7, 0.7),
                SamPrediction(larger, 0.6, 0.6),
            )
        return Prediction(logits=logits, sam_logits=logits, iou=0.9, score=0.9, candidates=candidates)


class SlowDarkParts(DarkParts):
    """Encodes in so many seconds, but for the first time, when it is warmed up: to be stopped at work."""

    def __init__(self, seconds):
        self._waits = itertools.chain([0], itertools.repeat(seconds))

    def encode(self, image, *, roles=None, prompt=None):
        time.sleep(next(self._waits))
        return super().encode(image, roles=roles, prompt=prompt)
