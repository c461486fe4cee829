"""Features of a window, kept in memory while a region is searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from wsisam_model.encoder import EncoderOutput
from wsisam_model.number_types import NUMBER_TYPES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsisam_model import ModelSettings
    from wsisam_server.core.geometry import Window
    from wsisam_server.inference.scheduler.engine import ModelInfo

KEPT: Final = "kept"
"""In place of a role in the cache's keys."""


def kept_key(
    slide_id: str, model: ModelInfo, window: Window, number_type: str = ""
) -> tuple[str, str, ModelSettings, Window, str, str]:
    """Under which a local engine keeps the features of a window in its device's cache.

    Args:
        slide_id: of the window's slide.
        model: that made them.
        window: that they are of.
        number_type: see `EncoderRunner`.
    """
    return slide_id, model.weights_hash, model.settings, window, KEPT, number_type


def kept_keys(
    slide_id: str, model: ModelInfo, window: Window
) -> list[tuple[str, str, ModelSettings, Window, str, str]]:
    """All keys under which they may be, whichever number type the encoder is run in."""
    return [kept_key(slide_id, model, window, number_type) for number_type in ("", *NUMBER_TYPES)]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class KeptFeatures:
    """An encoder's output at half precision: a fifth of what an embedding takes that is ready for clicks.

    What is outlined from it differs from a click's answer by less than a pixel's rounding; it never becomes one.

    Attributes:
        values: float16 [64, 64, C], the early feature before the embedding.
        groups: the channels of both.
        last_stage: see `EncoderOutput`.
    """

    values: NDArray[np.float16]
    groups: tuple[int, int]
    last_stage: bytes

    @classmethod
    def of(cls, output: EncoderOutput) -> KeptFeatures:
        """Of one image's features, on any device."""
        both = (output.early[0], output.embedding[0])
        values = torch.cat([one.permute(1, 2, 0) for one in both], dim=2).to(torch.float16).cpu().numpy()
        return cls(values, (both[0].shape[0], both[1].shape[0]), output.last_stage)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.values.nbytes

    def features(self, dtype: torch.dtype, device: torch.device) -> EncoderOutput:
        """What `WsiSam.prepare` takes."""
        tensor = torch.from_numpy(self.values).to(device, dtype).permute(2, 0, 1)[None]
        early = self.groups[0]
        return EncoderOutput(tensor[:, early:], tensor[:, :early], last_stage=self.last_stage)
