"""WSI-SAM as a library: images and prompts in, logits out.

>>> model = WsiSam.from_name("wsisam-lite")
>>> high = model.encode(image)
>>> model.decode(high, None, Prompt(box=(40, 60, 120, 150))).logits
"""

from wsisam_model.embedding import Embedding
from wsisam_model.encoder import EncoderOutput
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
from wsisam_model.model import Dtype, LowReading, Role, WsiSam
from wsisam_model.prediction import Prediction, SamPrediction
from wsisam_model.prompt import MASK_SIDE, Prompt
from wsisam_model.registry import ModelDescription, available_models
from wsisam_model.settings import ModelSettings

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
