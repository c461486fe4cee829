"""Reads an annotation set from a QuPath project, which is never written."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from openslide import OpenSlideError

from wsisam_server.annotations.formats import provenance
from wsisam_server.annotations.sync.drawings import OTHER_PLANE, SAME_ID
from wsisam_server.annotations.sync.errors import ImageError, SyncError
from wsisam_server.annotations.sync.project import Project
from wsisam_server.annotations.sync.record import Records
from wsisam_server.annotations.sync.steps import NoListener
from wsisam_server.annotations.sync.synced_entry import synced_entry
from wsisam_server.core.files import moved_along
from wsisam_server.learning.dataset_export.annotation_set import AnnotatedSlide, AnnotationSet, ClassFilter, LabelSource
from wsisam_server.learning.dataset_export.errors import DatasetExportError
from wsisam_server.learning.dataset_export.slides import local_path
from wsisam_server.slides import fingerprint

if TYPE_CHECKING:
    import uuid
    from pathlib import Path

    from wsisam_server.annotations.sync.model import Drawing, Image
    from wsisam_server.annotations.sync.process import QuPathProcess

_UNUSABLE = "that QuPath makes no valid shape of"
_PLANE = "on other planes than the first"
_SAME_ID = "whose id several objects of the image have"
_VIEW = "on images that the project shows rotated, cropped or otherwise changed"


_ALL: Final = ClassFilter()


def read_project(path: Path, process: QuPathProcess, *, class_filter: ClassFilter = _ALL) -> AnnotationSet:
    """The annotations of a project as QuPath last saved it.

    Args:
        path: the project file, or its folder.
        process: QuPath; closed here.
        class_filter: which classes.

    Raises:
        DatasetExportError: it cannot be read.
    """
    left_out: Counter[str] = Counter()
    missing: dict[str, str] = {}
    duplicates: dict[str, str] = {}
    slides = []
    try:
        project = Project(path, process, NoListener())
        records = Records(project.folder)
        images = project.images()
        names = Counter(image.name for image in images)
        entries = _SyncedEntries(images, project, records)
        for image in images:
            name = image.name if names[image.name] == 1 else f"{image.name} (number {image.id})"
            synced = entries.of(image)
            if synced.id != image.id:
                duplicates[name] = (
                    f"it shows the same slide as {synced.name} (number {synced.id}); only that one is used"
                )
                continue
            try:
                contents = project.read(image, had_data=records.had_data(image, entries.slide_id(image)))
            except ImageError as error:
                missing[name] = str(error)
                continue
            left_out.update(map(_why, contents.unusable.values()))
            if image.view:
                left_out[_VIEW] += len(contents.drawings)
                continue
            objects = (_label_source(one, drawing) for one, drawing in sorted(contents.drawings.items()))
            of_slide = class_filter.of(objects, left_out)
            identity = _identity(image, records)
            uris = _uris(project, image, known=identity is not None)
            slides.append(AnnotatedSlide(image.name, uris, of_slide, identity=identity, size=image.size))
    except SyncError as error:
        raise DatasetExportError(str(error)) from error
    finally:
        process.close()
    source = {"project_file": str(project.path), "project_sha256": project.file}
    return AnnotationSet(tuple(slide for slide in slides if slide.objects), source, +left_out, missing, duplicates)


class _SyncedEntries:
    """Which image is used for a slide that several show, such as an entry and its copy: the one that is synced.

    A sync looks slides up in its store, too. Here is none: what syncs have recorded and the files themselves tell.
    """

    def __init__(self, images: tuple[Image, ...], project: Project, records: Records) -> None:
        self._images = images
        self._project = project
        self._records = records
        self._known: dict[tuple[str, ...], str | None] = {}
        for image in images:
            seen = records.image(image.id).slide
            if seen is not None and seen.uris == image.uris and not image.problem:
                self._known[image.uris] = seen.slide_id

    def of(self, image: Image) -> Image:
        """The image that is used for what this one shows."""
        if image.view or image.problem:
            return image
        slide_id = self.slide_id(image)
        if slide_id is None:
            return image
        return synced_entry(image, slide_id, self._images, self._records, self.slide_id)

    def slide_id(self, image: Image) -> str | None:
        """The slide that an image shows, as far as that can be told without a store."""
        if image.uris not in self._known:
            self._known[image.uris] = self._found(image)
        return self._known[image.uris]

    def _found(self, image: Image) -> str | None:
        for uri in image.uris:
            # WsiSamSync records a slide by its URI where nobody can read the file.
            if self._records.entry(uri) is not None:
                return uri
        for path in filter(None, map(local_path, _uris(self._project, image, known=False))):
            if path.is_file():
                with suppress(OSError, OpenSlideError):
                    return fingerprint(path)
        return image.uris[0] if image.uris else None


def _why(problem: str) -> str:
    if problem.startswith(OTHER_PLANE):
        return _PLANE
    return _SAME_ID if problem == SAME_ID else _UNUSABLE


def _identity(image: Image, records: Records) -> str | None:
    """What the image's file holds, if a sync has looked into it."""
    seen = records.image(image.id).slide
    known = seen is not None and seen.file is not None and seen.uris == image.uris and seen.slide_id not in seen.uris
    return seen.slide_id if seen is not None and known else None


def _uris(project: Project, image: Image, *, known: bool) -> tuple[str, ...]:
    """Where the image's file was, and where it is if it was moved with the project.

    Args:
        project: of the image.
        image: whose file is looked for.
        known: what the file holds is known. Only then may a file beside the project be it, of which the name is the
            same: microscopes give one name to many.
    """
    former = None if project.former_folder is None else local_path(project.former_folder)
    moved = []
    for path in filter(None, map(local_path, image.uris)):
        if former is not None and former.parent != project.folder:
            along = moved_along(path, former.parent, project.folder)
            moved += [] if along is None else [along.as_uri()]
        if known:
            moved.append((project.folder / path.name).as_uri())
    return (*image.uris, *moved)


def _label_source(annotation_id: uuid.UUID, drawing: Drawing) -> LabelSource:
    made, _ = provenance.split(drawing.metadata)
    return LabelSource(
        id=annotation_id,
        shape=drawing.shape,
        version=drawing.digest,
        class_name="" if drawing.path_class is None else drawing.path_class.name,
        model="" if made is None else made.model,
        weights_hash="" if made is None else made.weights_hash,
    )
