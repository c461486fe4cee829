"""WSI-SAM as a library: images and prompts in, logits out.

>>> model = WsiSam.from_name("wsisam-lite")
>>> high = model.encode(image)
>>> model.decode(high, None, Prompt(box=(40, 60, 120, 150))).logits
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from wsisam_model.errors import (
    CheckpointError,
    EmbeddingError,
    ImageError,
    ModelFilesMissing,
    PromptError,
    SettingsError,
    UnknownModelError,
    WsiSamError,
)
from wsisam_model.prediction import Prediction, SamPrediction
from wsisam_model.prompt import MASK_SIDE, Prompt
from wsisam_model.registry import ModelDescription, available_models
from wsisam_model.settings import ModelSettings

if TYPE_CHECKING:
    from wsisam_model.embedding import Embedding
    from wsisam_model.encoder import EncoderOutput
    from wsisam_model.model import Dtype, LowReading, Role, WsiSam

__all__ = [
    "MASK_SIDE",
    "CheckpointError",
    "Dtype",
    "Embedding",
    "EmbeddingError",
    "EncoderOutput",
    "ImageError",
    "LowReading",
    "ModelDescription",
    "ModelFilesMissing",
    "ModelSettings",
    "Prediction",
    "Prompt",
    "PromptError",
    "Role",
    "SamPrediction",
    "SettingsError",
    "UnknownModelError",
    "WsiSam",
    "WsiSamError",
    "available_models",
]

_WITH_TORCH: Final = {
    "Dtype": "model",
    "Embedding": "embedding",
    "EncoderOutput": "encoder",
    "LowReading": "model",
    "Role": "model",
    "WsiSam": "model",
}
"""Where the names are that need torch: imported when first used, because listing models does without."""


def __getattr__(name: str) -> Any:
    """Imports what needs torch.

    Raises:
        AttributeError: there is no such name.
        ModuleNotFoundError: torch or another of the model's packages is not installed.
    """
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
    except ModuleNotFoundError as error:
        text = f'{name} needs {error.name}, which is not installed; run: pip install ".[server]"'
        raise ModuleNotFoundError(text, name=error.name) from error
