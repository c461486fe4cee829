"""Sessions room: one annotator at work on one open image.

What flows in: prompts with an object id and a revision, viewports, pixel tiles, cancels. What flows out: events (an
outline or an error for each prompt, exactly once; progress; pixels needed). The latest revision of an object wins; what
is superseded or cancelled before it was computed never reaches the model. It must never know of messages.
"""

from wsisam_server.service.sessions.allowance import Allowance
from wsisam_server.service.sessions.events import (
    Event,
    Failed,
    OutlineReady,
    PixelsWanted,
    Refining,
    Revision,
    WaitingForEncoder,
    WaitingForModel,
    WaitingForPixels,
)
from wsisam_server.service.sessions.ids import SessionIds
from wsisam_server.service.sessions.keeper import Keeper
from wsisam_server.service.sessions.session import Session

__all__ = [
    "Allowance",
    "Event",
    "Failed",
    "Keeper",
    "OutlineReady",
    "PixelsWanted",
    "Refining",
    "Revision",
    "Session",
    "SessionIds",
    "WaitingForEncoder",
    "WaitingForModel",
    "WaitingForPixels",
]
