"""What comes out of a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from wsisam_server.annotations.store import Saved
    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.pixels import PixelWindow


@dataclass(frozen=True, slots=True)
class OutlineReady:
    """A prompt's outline, and what became of it when it was to be kept."""

    object_id: str
    revision: int
    outcome: Outcome
    saved: Saved | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A prompt's error; with an empty object id, that of a tile or a viewport."""

    object_id: str
    revision: int
    error: Exception


@dataclass(frozen=True, slots=True)
class WaitingForModel:
    """A prompt has to wait for its model to be loaded."""

    object_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class WaitingForEncoder:
    """A prompt has to wait for an encoder."""

    object_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class WaitingForPixels:
    """A prompt has to wait for pixels, perhaps ones that were asked for already."""

    object_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class Refining:
    """So many of the finer windows along a prompt's border are answered, of so many."""

    object_id: str
    revision: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class PixelsWanted:
    """Pixel windows that were not requested before on this stream."""

    windows: tuple[PixelWindow, ...]


Event: TypeAlias = (
    OutlineReady | Failed | WaitingForModel | WaitingForEncoder | WaitingForPixels | Refining | PixelsWanted
)
