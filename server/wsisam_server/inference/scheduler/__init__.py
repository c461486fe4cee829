"""Scheduler room: runs the model. A field and prompts in, logits out; priority, single flight, cancel before compute.

Engine and pool are interfaces: the local ones use threads on this machine's device, the room `cluster` has others.
Models come and go by name, in a pool with a memory limit. It must never know what a message, a session or a polygon is,
nor where models lie on disk.
"""

from wsisam_server.inference.scheduler.device import Device
from wsisam_server.inference.scheduler.engine import (
    Answer,
    Engine,
    Features,
    Job,
    ModelInfo,
    Prepared,
    Priority,
    ScoredMask,
)
from wsisam_server.inference.scheduler.fair_queue import FairQueue, QueueEntry, WorkItem
from wsisam_server.inference.scheduler.kept import kept_keys
from wsisam_server.inference.scheduler.local import LocalEngine
from wsisam_server.inference.scheduler.models import (
    AvailableModel,
    ModelDevice,
    Models,
    ModelSource,
    ModelStatus,
    find_available,
)
from wsisam_server.inference.scheduler.pool import ModelPool
from wsisam_server.inference.scheduler.stored import StoredFeatures
from wsisam_server.inference.scheduler.worker import Readers, Worker, timed

__all__ = [
    "Answer",
    "AvailableModel",
    "Device",
    "Engine",
    "FairQueue",
    "Features",
    "Job",
    "LocalEngine",
    "ModelDevice",
    "ModelInfo",
    "ModelPool",
    "ModelSource",
    "ModelStatus",
    "Models",
    "Prepared",
    "Priority",
    "QueueEntry",
    "Readers",
    "ScoredMask",
    "StoredFeatures",
    "WorkItem",
    "Worker",
    "find_available",
    "kept_keys",
    "timed",
]
