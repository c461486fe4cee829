"""The steps of a sync, for whoever watches it; a test kills it after each of them."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wsisam_server.annotations.sync.model import Image
    from wsisam_server.annotations.sync.report import ImageReport


class Step(Enum):
    """What has just been done. Those of an image are in the order in which they come.

    Those of writing a data file come twice where both sides change: it gets a new name before the store is changed.
    """

    LOCKED = "locked the project"
    RECORD_READ = "read the record of the last sync"
    QUPATH_STARTED = "started QuPath's Java"
    IMAGES_LISTED = "listed the images"
    IMAGE_LOOKED_UP = "looked up the slide"
    IDS_SAVED = "saved the ids of old objects"
    PROJECT_READ = "read from the project"
    STORE_READ = "read from the store"
    PLANNED = "planned"
    KEPT_IN_HISTORY = "kept a version in the store's history"
    STORE_SETTLED = "settled in the store"
    SAVED_TO_STORE = "saved to the store"
    DELETED_IN_STORE = "deleted in the store"
    SIDE_FILE_WRITTEN = "wrote a new data file"
    SIDE_FILE_CHECKED = "checked the new data file"
    SIDE_FILE_FLUSHED = "flushed the new data file"
    CHANGES_LOOKED_FOR = "looked for changes by others"
    INTENT_RECORDED = "recorded what is to be done"
    """Also before a conflict is settled in the store."""
    BACKUP_WRITTEN = "backed up the old data file"
    SWAPPED = "swapped the data files"
    SWAP_FLUSHED = "flushed the swap"
    SUMMARY_WRITTEN = "wrote the summary"
    BACKUPS_PRUNED = "removed old backups"
    STORE_READ_AGAIN = "looked again at the store"
    IMAGE_RECORDED = "recorded the image"
    PROJECT_RECORDED = "recorded the project"
    QUPATH_ENDED = "ended QuPath's Java"


class ProgressListener(Protocol):
    """Hears how a sync goes on."""

    def begin(self, images: int) -> None:
        """It is known how many images there are to look at."""
        ...

    def step(self, step: Step, image: Image | None = None) -> None:
        """A step was done."""
        ...

    def end(self, report: ImageReport) -> None:
        """An image is done."""
        ...


class NoListener:
    """Hears nothing."""

    def begin(self, images: int) -> None:
        """See `ProgressListener`."""

    def step(self, step: Step, image: Image | None = None) -> None:
        """See `ProgressListener`."""

    def end(self, report: ImageReport) -> None:
        """See `ProgressListener`."""
