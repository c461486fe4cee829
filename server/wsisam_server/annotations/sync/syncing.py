"""Syncs a project with a store, image by image.

The order makes every interruption harmless. The store keeps a history, so it is changed first; then the project's data
file is swapped; then the record is written. Who was cut off in between finds the same on both sides next time, and
notes it.
"""

from __future__ import annotations

import fnmatch
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

import filelock

from wsisam_server.annotations.sync.errors import ImageError, SyncError
from wsisam_server.annotations.sync.image_sync import Bench, ImageSync
from wsisam_server.annotations.sync.matching import Matcher, UnmatchedError
from wsisam_server.annotations.sync.project import Project
from wsisam_server.annotations.sync.record import Records
from wsisam_server.annotations.sync.report import ImageReport, Outcome, Report
from wsisam_server.annotations.sync.running import running
from wsisam_server.annotations.sync.steps import Step, Unwatched
from wsisam_server.annotations.sync.store_side import StoreSide

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wsisam_server.annotations.store import Store
    from wsisam_server.annotations.sync.model import Image
    from wsisam_server.annotations.sync.options import Options
    from wsisam_server.annotations.sync.process import QuPathProcess
    from wsisam_server.annotations.sync.record import ImageRecord
    from wsisam_server.annotations.sync.steps import Watcher

_LOCK: Final = "lock"


def sync(
    path: Path,
    store: Store,
    process: QuPathProcess,
    options: Options,
    *,
    author: str,
    store_name: str = "",
    watcher: Watcher | None = None,
) -> Report:
    """Syncs a project with a store.

    Args:
        path: the project file, or the folder of project.qpproj.
        store: both its sides may be changed, see `options`.
        process: QuPath; started when it is needed, which it is not when nothing is new. Closed here.
        options: what is wanted.
        author: of the store's new revisions.
        store_name: for the report.
        watcher: hears of each step.

    Returns:
        What was done, or with `options.dry_run` what would be.

    Raises:
        SyncError: there is no such project, another sync of it is running, QuPath cannot be started or failed.
        WsiSamServerError: the store failed. What was done until then stays, and the next sync goes on from there.
    """
    watcher = watcher or Unwatched()
    try:
        project = Project(path, process, watcher)
        with _locked(project, options):
            watcher.step(Step.LOCKED)
            run = _Run(project, store, options, author, watcher)
            return run.all(Report(str(project.path), store_name, options.dry_run))
    finally:
        process.close()
        watcher.step(Step.QUPATH_ENDED)


@contextmanager
def _locked(project: Project, options: Options) -> Iterator[None]:
    """Keeps other syncs of the project out. A dry run leaves no trace, not even a lock."""
    if options.dry_run:
        yield
        return
    folder = Records(project.folder).folder
    try:
        folder.mkdir(exist_ok=True)
        lock = filelock.FileLock(folder / _LOCK)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise SyncError("another sync of this project is running; wait until it is done") from None
    except OSError as error:
        raise SyncError(f"the project's folder cannot be written ({error.strerror}): {project.folder}") from error
    try:
        yield
    finally:
        lock.release()


class _Run:
    def __init__(self, project: Project, store: Store, options: Options, author: str, watcher: Watcher) -> None:
        self._project = project
        self._store = store
        self._options = options
        self._watcher = watcher
        self._records = Records(project.folder)
        self._record = self._records.project()
        watcher.step(Step.RECORD_READ)
        self._side = StoreSide(store, author, self._record.name, watcher)
        self._matcher = Matcher(store, project.folder, project.former_folder)
        self._taken: dict[str, Image] = {}

    def all(self, report: Report) -> Report:
        """Syncs all images that are wanted."""
        images = self._images()
        wanted = [image for image in images if fnmatch.fnmatch(image.name, self._options.images)]
        if images and not wanted:
            report.notes.append(f"no image is named {self._options.images}")
        self._watcher.begin(len(wanted))
        trusted = self._trusted()
        if not trusted:
            report.notes.append(
                "the store does not know what was synced with it last: it was restored from a backup. Both sides were "
                "compared without history, and nothing was deleted"
            )
        qupaths = cache(running)
        bench = Bench(
            project=self._project,
            store=self._side,
            store_id=self._store.identity,
            records=self._records,
            trusted=trusted,
            options=self._options,
            watcher=self._watcher,
            qupaths=qupaths,
        )
        for image in wanted:
            done = self._one(bench, image)
            report.images.append(done)
            self._watcher.end(done)
        if not self._options.dry_run:
            self._records.write_project(self._record)
            self._watcher.step(Step.PROJECT_RECORDED)
            if qupaths.cache_info().misses and qupaths():
                report.notes.append(
                    "QuPath is running on this machine. If it has this project open, load the image there anew (File, "
                    "Reload data) before you go on"
                )
        if self._records.lost:
            report.notes.append(f"the record of an earlier sync could not be read: {', '.join(self._records.lost)}")
        return report

    def _images(self) -> tuple[Image, ...]:
        file = self._project.file
        if not self._record.file or self._record.file != file:
            self._record.images = self._project.images()
            self._record.file = file
        self._watcher.step(Step.IMAGES_LISTED)
        return self._record.images

    def _one(self, bench: Bench, image: Image) -> ImageReport:
        record = self._records.image(image.id)
        try:
            slide = self._matcher.match(image, record.slide)
        except UnmatchedError as error:
            return ImageReport(image, Outcome.UNMATCHED, problems=[str(error)])
        other = self._taken.setdefault(slide.slide_id, image)
        if other is not image:
            problem = f"it shows the same slide as {other.name} (number {other.id}); only that one is synced"
            return ImageReport(image, Outcome.UNMATCHED, problems=[problem])
        self._watcher.step(Step.IMAGE_LOOKED_UP, image)
        syncing = ImageSync(bench, image, slide, record)
        try:
            report = syncing.run()
        except ImageError as error:
            return ImageReport(image, Outcome.FAILED, slide.slide_id, failures=[str(error)])
        self._witness(syncing.record)
        return report

    def _trusted(self) -> bool:
        """Whether the store is what it was, or has gone on from there."""
        witness = self._record.witnesses.get(self._store.identity)
        if witness is None:
            return True
        annotation_id, revision, at = witness
        found = self._side.version(annotation_id, revision)
        if found is not None and found.update_time.isoformat() == at:
            return True
        del self._record.witnesses[self._store.identity]
        return False

    def _witness(self, record: ImageRecord) -> None:
        """Remembers the latest revision that was synced, by which the store is known again."""
        synced = record.stores.get(self._store.identity)
        if synced is None or not synced.annotations or self._options.dry_run:
            return
        one, base = max(synced.annotations.items(), key=lambda item: item[1].revision)
        before = self._record.witnesses.get(self._store.identity)
        if before is not None and before[1] >= base.revision:
            return
        found = self._side.version(one, base.revision)
        if found is not None:
            self._record.witnesses[self._store.identity] = (one, base.revision, found.update_time.isoformat())
