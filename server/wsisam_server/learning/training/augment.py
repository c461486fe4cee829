"""What is changed in a window before it is encoded: orientation, stain and white level.

The encoder is neither blind to orientation nor to colour, so both must change before it; and once a window, since its
output is what training reads from the disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)

# Optical density of haematoxylin, eosin and DAB in red, green and blue (Ruifrok & Johnston 2001).
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_TO_STAINS = np.linalg.inv(_STAINS)

_AMOUNT = 0.25  # a stain's amount changes by at most this factor
_OFFSET = 0.02  # and by this optical density, as an uneven background does
_UNCHANGED_SHARE = 0.3  # of the windows keep their colours
_DARK_SHARE = 0.3  # of the windows get a darker white, as cameras on microscopes give
_DARKEST = 0.6  # of the white, the least that is left
_TINT = 0.08  # and at most this much less in a channel of its own
_WHITE = 255.0


@dataclass(frozen=True, slots=True)
class Augmentation:
    """One change of a window.

    Attributes:
        quarter_turns: counterclockwise rotations by 90 degrees, 0 to 3.
        mirrored: whether left and right change places first.
        amounts: factors of haematoxylin, eosin and DAB.
        offsets: optical densities added to the three.
        white: factors of red, green and blue, that is, how much is left of the white.
    """

    quarter_turns: int = 0
    mirrored: bool = False
    amounts: tuple[float, ...] = (1.0, 1.0, 1.0)
    offsets: tuple[float, ...] = (0.0, 0.0, 0.0)
    white: tuple[float, ...] = (1.0, 1.0, 1.0)

    @classmethod
    def draw(cls, random: np.random.Generator, *, vary_stain: bool = True) -> Augmentation:
        """Draws one at random; what is drawn after it does not depend on `vary_stain`."""
        turns, mirrored = int(random.integers(4)), bool(random.integers(2))
        white = random.uniform(_DARKEST, 1.0) * random.uniform(1 - _TINT, 1.0, 3)
        if random.random() >= _DARK_SHARE or not vary_stain:
            white = np.ones(3)
        if random.random() < _UNCHANGED_SHARE:
            return cls(turns, mirrored, white=tuple(white.tolist()))
        amounts = random.uniform(1 - _AMOUNT, 1 + _AMOUNT, 3)
        offsets = random.uniform(-_OFFSET, _OFFSET, 3)
        if not vary_stain:
            return cls(turns, mirrored)
        return cls(turns, mirrored, tuple(amounts.tolist()), tuple(offsets.tolist()), tuple(white.tolist()))

    def orient(self, array: NDArray[Scalar]) -> NDArray[Scalar]:
        """Mirrors and turns an array [H, W, ...]."""
        mirrored = array[:, ::-1] if self.mirrored else array
        return np.ascontiguousarray(np.rot90(mirrored, self.quarter_turns))

    def stain(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Changes the stains of an image uint8 [H, W, 3], RGB, then its white.

        White stays white where no offset is added and `white` is 1.
        """
        if self == Augmentation(self.quarter_turns, self.mirrored):
            return image
        density = -np.log10(np.maximum(image, 1) / _WHITE)
        stains = density @ _TO_STAINS * np.array(self.amounts) + np.array(self.offsets)
        changed = _WHITE * 10.0 ** -(stains @ _STAINS) * np.array(self.white)
        return np.asarray(np.clip(np.rint(changed), 0, _WHITE), np.uint8)
