"""Weights room: named models on this machine, and what a server can load of them.

In: names, files and URLs. Out: records of what lies in the user's folder, and loaded models. A
file is hashed as it comes and loaded once before anybody sees it. It must never know of prompts, slides or messages.
"""

from wsisam_server.inference.weights.add import AddListener, ModelSpec, add
from wsisam_server.inference.weights.errors import WeightsError
from wsisam_server.inference.weights.files import built_in, frozen_sam, load
from wsisam_server.inference.weights.folder import WeightsFolder, default_folder
from wsisam_server.inference.weights.listing import KnownModel, list_models
from wsisam_server.inference.weights.published import PUBLISHED
from wsisam_server.inference.weights.record import PARTS, ModelRecord, Part, WeightsFile
from wsisam_server.inference.weights.served import ServedModels
from wsisam_server.inference.weights.verify import Finding, verify

__all__ = [
    "PARTS",
    "PUBLISHED",
    "AddListener",
    "Finding",
    "KnownModel",
    "ModelRecord",
    "ModelSpec",
    "Part",
    "ServedModels",
    "WeightsError",
    "WeightsFile",
    "WeightsFolder",
    "add",
    "built_in",
    "default_folder",
    "frozen_sam",
    "list_models",
    "load",
    "verify",
]
