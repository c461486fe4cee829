"""The errors of this room. Texts are for whoever runs a sync, and say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping


class SyncError(Exception):
    """A sync cannot go on."""


class ImageError(SyncError):
    """One image cannot be synced; it was left as it was, and the others go on."""


class NotKeptError(ImageError):
    """QuPath did not keep some annotations as they were sent. Nothing was written.

    Attributes:
        problems: what is wrong, by annotation.
    """

    def __init__(self, problems: Mapping[uuid.UUID, str]) -> None:
        super().__init__(f"QuPath does not keep {len(problems)} annotations as they are")
        self.problems = dict(problems)
