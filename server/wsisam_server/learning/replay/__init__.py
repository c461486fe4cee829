"""Replay room: stored prompts, asked again of another model.

In: annotations with their history, and an `Answerer` of prompts. Out: a comparison of old and new
outlines, and, if wanted, the new ones as revisions. It must never know how a prompt is answered, nor of messages.
"""

from wsisam_server.learning.replay.answering import (
    Answerer,
    RefusedError,
    ReplayedOutline,
    max_candidates,
    refinement,
    steps,
    windows_used,
)
from wsisam_server.learning.replay.report import Comparison, ReplayReport
from wsisam_server.learning.replay.running import replay
from wsisam_server.learning.replay.selection import SkipReason

__all__ = [
    "Answerer",
    "Comparison",
    "RefusedError",
    "ReplayReport",
    "ReplayedOutline",
    "SkipReason",
    "max_candidates",
    "refinement",
    "replay",
    "steps",
    "windows_used",
]
