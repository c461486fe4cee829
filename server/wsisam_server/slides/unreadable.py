"""A slide that cannot be read: damaged, or not this user's to read. Both are the same to a decoder, not to people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from pathlib import Path

_DENIED: Final = "Permission denied"
"""What OpenSlide passes on of a file that it may not open; PIL and tifffile raise PermissionError itself."""

DENIED: Final = {
    "problem": "its permissions keep the user who runs wsisam from reading it; it need not be damaged",
    "advice": "Give that user the right to read the file, those beside it that belong to it, and their folder",
}


def unreadable(error: BaseException, path: Path) -> WsiSamServerError:
    """SLIDE_UNREADABLE, and whether the file is damaged or only refused to this user.

    Args:
        error: what reading it raised.
        path: the slide's file.
    """
    return WsiSamServerError(
        Reason.SLIDE_UNREADABLE, private=repr(error), path=path, **(DENIED if is_denied(error) else {})
    )


def is_denied(error: BaseException | None) -> bool:
    """Whether an error, or what it was raised from, is the system's refusal to let this user read."""
    while error is not None:
        if isinstance(error, PermissionError) or _DENIED in str(error):
            return True
        error = error.__cause__
    return False
