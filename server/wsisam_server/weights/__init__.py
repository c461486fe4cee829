"""Weights room: named models on this machine, and what a server can load of them.

What flows in: names, files and URLs. What flows out: records of what lies in the user's folder, and loaded models. A
file is hashed as it comes and loaded once before anybody sees it. It must never know of prompts, slides or messages.
"""

from wsisam_server.weights.add import Wanted, Watcher, add
from wsisam_server.weights.errors import WeightsError
from wsisam_server.weights.files import built_in, frozen_sam, load
from wsisam_server.weights.folder import WeightsFolder
from wsisam_server.weights.overview import Known, overview
from wsisam_server.weights.place import VARIABLE, default_folder
from wsisam_server.weights.recipes import RECIPES
from wsisam_server.weights.record import PARTS, ModelRecord, Part, WeightsFile
from wsisam_server.weights.served import ServedModels
from wsisam_server.weights.verify import Finding, verify

__all__ = [
    "PARTS",
    "RECIPES",
    "VARIABLE",
    "Finding",
    "Known",
    "ModelRecord",
    "Part",
    "ServedModels",
    "Wanted",
    "Watcher",
    "WeightsError",
    "WeightsFile",
    "WeightsFolder",
    "add",
    "built_in",
    "default_folder",
    "frozen_sam",
    "load",
    "overview",
    "verify",
]
