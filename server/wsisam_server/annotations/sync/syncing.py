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
from wsisam_server.annotations.sync.image_sync import ImageSync, SyncContext
from wsisam_server.annotations.sync.matching import Matcher, UnmatchedError
from wsisam_server.annotations.sync.project import Project
from wsisam_server.annotations.sync.record import Records, SlideSeen
from wsisam_server.annotations.sync.report import ImageReport, Outcome, Report
from wsisam_server.annotations.sync.running import running
from wsisam_server.annotations.sync.steps import NoListener, Step
from wsisam_server.annotations.sync.store_side import StoreSide
from wsisam_server.annotations.sync.synced_entry import synced_entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wsisam_server.annotations.store import Store
    from wsisam_server.annotations.sync.model import Image
    from wsisam_server.annotations.sync.options import Options
    from wsisam_server.annotations.sync.process import QuPathProcess
    from wsisam_server.annotations.sync.steps import ProgressListener

_LOCK: Final = "lock"


def sync(
    path: Path,
    store: Store,
    process: QuPathProcess,
    options: Options,
    *,
    author: str,
    store_name: str = "",
    listener: ProgressListener | None = None,
) -> Report:
    """Syncs a project with a store.

    Args:
        path: the project file, or the folder of project.qpproj.
        store: both its sides may be changed, see `options`.
        process: QuPath; started when it is needed, which it is not when nothing is new. Closed here.
        options: what is wanted.
        author: of the store's new revisions.
        store_name: for the report.
        listener: hears of each step.

    Returns:
        What was done, or with `options.dry_run` what would be.

    Raises:
        SyncError: there is no such project, another sync of it is running, QuPath cannot be started or failed.
        WsiSamServerError: the store failed. What was done until then stays, and the next sync goes on from there.
    """
    listener = listener or NoListener()
    try:
        project = Project(path, process, listener)
        with _locked(project, options):
            listener.step(Step.LOCKED)
            run = _Run(project, store, options, author, listener)
            return run.all(Report(str(project.path), store_name, options.dry_run))
    finally:
        process.close()
        listener.step(Step.QUPATH_ENDED)


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
    def __init__(
        self, project: Project, store: Store, options: Options, author: str, listener: ProgressListener
    ) -> None:
        self._project = project
        self._store = store
        self._options = options
        self._listener = listener
        self._records = Records(project.folder)
        self._record = self._records.project()
        listener.step(Step.RECORD_READ)
        self._side = StoreSide(store, author, self._record.name, listener)
        self._matcher = Matcher(store, project.folder, project.former_folder)
        self._images: tuple[Image, ...] = ()
        self._slides: dict[str, SlideSeen | UnmatchedError] = {}

    def all(self, report: Report) -> Report:
        """Syncs all images that are wanted."""
        images = self._images = self._listed()
        wanted = [image for image in images if fnmatch.fnmatch(image.name, self._options.images)]
        if images and not wanted:
            report.notes.append(f"no image is named {self._options.images}")
        self._listener.begin(len(wanted))
        trusted = self._trusted()
        if not trusted:
            report.notes.append(
                "the store does not know what was synced with it last: it was restored from a backup. Both sides were "
                "compared without history, and nothing was deleted"
            )
        qupaths = cache(running)
        context = SyncContext(
            project=self._project,
            store=self._side,
            store_id=self._store.identity,
            records=self._records,
            trusted=trusted,
            options=self._options,
            listener=self._listener,
            qupaths=qupaths,
        )
        for image in wanted:
            done = self._one(context, image)
            report.images.append(done)
            self._listener.end(done)
        if not self._options.dry_run:
            self._records.write_project(self._record)
            self._listener.step(Step.PROJECT_RECORDED)
            if qupaths.cache_info().misses and qupaths():
                unseen = "" if all(one.recent is not None for one in qupaths()) else ", which cannot be seen of each"
                report.notes.append(
                    f"QuPath is running on this machine. If it has this project open{unseen}, load the image there "
                    "anew (File, Reload data) before you go on"
                )
        if self._records.lost:
            report.notes.append(f"the record of an earlier sync could not be read: {', '.join(self._records.lost)}")
        return report

    def _listed(self) -> tuple[Image, ...]:
        images = self._project.images()
        self._listener.step(Step.IMAGES_LISTED)
        return images

    def _one(self, context: SyncContext, image: Image) -> ImageReport:
        if image.problem:
            return ImageReport(image, Outcome.FAILED, failures=[image.problem])
        slide = self._slide(image)
        if isinstance(slide, UnmatchedError):
            return ImageReport(image, Outcome.UNMATCHED, problems=[str(slide)])
        other = synced_entry(image, slide.slide_id, self._images, self._records, self._slide_id)
        if other.id != image.id:
            problem = f"it shows the same slide as {other.name} (number {other.id}); only that one is synced"
            return ImageReport(image, Outcome.UNMATCHED, problems=[problem])
        self._listener.step(Step.IMAGE_LOOKED_UP, image)
        try:
            had_data = self._had_data(slide.slide_id, image)
            syncing = ImageSync(context, image, slide, self._records.image(image.id), had_data=had_data)
            if not self._options.dry_run:
                self._records.write_entry(slide.slide_id, image, saved=had_data)
            report = syncing.run()
            if not self._options.dry_run and not had_data:
                self._records.write_entry(slide.slide_id, image, saved=self._project.data_path(image).exists())
        except ImageError as error:
            return ImageReport(image, Outcome.FAILED, slide.slide_id, failures=[str(error)])
        except OSError as error:
            where = error.filename or self._project.folder
            text = f"its files cannot be read or written ({error.strerror or error}): {where}"
            return ImageReport(image, Outcome.FAILED, slide.slide_id, failures=[text])
        self._witness(syncing)
        return report

    def _had_data(self, slide_id: str, image: Image) -> bool:
        """Whether an image has a data file, or had one when it was synced, in whichever way."""
        return self._records.had_data(image, slide_id) or self._project.data_path(image).exists()

    def _slide(self, image: Image) -> SlideSeen | UnmatchedError:
        """Which slide an image shows, or why that is not known; looked for once."""
        if image.id not in self._slides:
            try:
                self._slides[image.id] = self._matcher.match(image, self._records.image(image.id).slide)
            except UnmatchedError as error:
                self._slides[image.id] = error
            except OSError as error:
                self._slides[image.id] = UnmatchedError(f"its file cannot be read ({error.strerror or error})")
        return self._slides[image.id]

    def _slide_id(self, image: Image) -> str | None:
        slide = self._slide(image)
        return slide.slide_id if isinstance(slide, SlideSeen) else None

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

    def _witness(self, syncing: ImageSync) -> None:
        """Remembers the latest revision that was synced, by which the store is known again."""
        if syncing.newest is None or self._options.dry_run:
            return
        one, revision = syncing.newest
        before = self._record.witnesses.get(self._store.identity)
        if before is not None and before[1] >= revision:
            return
        found = self._side.version(one, revision)
        if found is not None:
            self._record.witnesses[self._store.identity] = (one, revision, found.update_time.isoformat())
