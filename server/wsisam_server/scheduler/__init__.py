"""Scheduler room: runs the model. A field and prompts in, logits out; priority, single flight, cancel before compute.

The engine is an interface: the local one uses threads on this machine's device. It must never know what a message, a
session or a polygon is.
"""

from wsisam_server.scheduler.engine import Answer, Engine, Job, ModelInfo, Priority, StageTimes
from wsisam_server.scheduler.local import LocalEngine

__all__ = ["Answer", "Engine", "Job", "LocalEngine", "ModelInfo", "Priority", "StageTimes"]
