"""Sessions room: one annotator at work on one open image.

In: prompts with an object id and a revision, viewports, pixel tiles, cancels. Out: events (an
outline or an error for each prompt, exactly once; progress; pixels needed). The latest revision of an object wins; what
is superseded or cancelled before it was computed never reaches the model. It must never know of messages.
"""

from wsisam_server.service.sessions.admission import Admission
from wsisam_server.service.sessions.batch import batch_answers
from wsisam_server.service.sessions.commit_service import CommitService, PromptResult
from wsisam_server.service.sessions.events import (
    Event,
    Failed,
    OutlineReady,
    PixelsWanted,
    Refining,
    WaitingForEncoder,
    WaitingForModel,
    WaitingForPixels,
)
from wsisam_server.service.sessions.session import Session

__all__ = [
    "Admission",
    "CommitService",
    "Event",
    "Failed",
    "OutlineReady",
    "PixelsWanted",
    "PromptResult",
    "Refining",
    "Session",
    "WaitingForEncoder",
    "WaitingForModel",
    "WaitingForPixels",
    "batch_answers",
]
