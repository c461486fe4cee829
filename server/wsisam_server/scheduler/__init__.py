"""Scheduler room: runs the model. A field and prompts in, logits out; priority, single flight, cancel before compute.

The engine is an interface: the local one uses threads on this machine's device. Models come and go by name, in a pool
with a memory limit. It must never know what a message, a session or a polygon is, nor where models lie on disk.
"""

from wsisam_server.scheduler.device import Device
from wsisam_server.scheduler.engine import Answer, Engine, Job, ModelInfo, Priority, StageTimes
from wsisam_server.scheduler.fair_queue import Claim, Ticket
from wsisam_server.scheduler.local import LocalEngine
from wsisam_server.scheduler.offers import Listed, ModelSource, Offer
from wsisam_server.scheduler.pool import ModelPool
from wsisam_server.scheduler.stored import StoredFeatures

__all__ = [
    "Answer",
    "Claim",
    "Device",
    "Engine",
    "Job",
    "Listed",
    "LocalEngine",
    "ModelInfo",
    "ModelPool",
    "ModelSource",
    "Offer",
    "Priority",
    "StageTimes",
    "StoredFeatures",
    "Ticket",
]
