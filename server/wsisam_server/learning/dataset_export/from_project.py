"""Reads an annotation set from a QuPath project, which is never written."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wsisam_server.annotations.formats import provenance
from wsisam_server.annotations.sync.errors import ImageError, SyncError
from wsisam_server.annotations.sync.project import Project
from wsisam_server.annotations.sync.steps import Unwatched
from wsisam_server.learning.dataset_export.annotation_set import AnnotatedSlide, AnnotationSet, ClassFilter, LabelSource
from wsisam_server.learning.dataset_export.errors import DatasetExportError
from wsisam_server.learning.dataset_export.slides import local_path

if TYPE_CHECKING:
    import uuid

    from wsisam_server.annotations.sync.model import Drawing, Image
    from wsisam_server.annotations.sync.process import QuPathProcess

_UNUSABLE = "that QuPath makes no valid shape of"
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
    slides = []
    try:
        project = Project(path, process, Unwatched())
        for image in project.images():
            try:
                contents = project.read(image)
            except ImageError as error:
                missing[image.name] = str(error)
                continue
            left_out[_UNUSABLE] += len(contents.unusable)
            if image.view:
                left_out[_VIEW] += len(contents.drawings)
                continue
            objects = (_label_source(one, drawing) for one, drawing in sorted(contents.drawings.items()))
            of_slide = class_filter.of(objects, left_out)
            slides.append(AnnotatedSlide(image.name, _uris(project, image), of_slide, size=image.size))
    except SyncError as error:
        raise DatasetExportError(str(error)) from error
    finally:
        process.close()
    source = {"project_file": str(project.path), "project_sha256": project.file}
    return AnnotationSet(tuple(slide for slide in slides if slide.objects), source, +left_out, missing)


def _uris(project: Project, image: Image) -> tuple[str, ...]:
    """Where the image's file was, and where it is if it was moved with the project or lies beside it."""
    former = None if project.former_folder is None else local_path(project.former_folder)
    moved = []
    for path in filter(None, map(local_path, image.uris)):
        if former is not None:
            relative = os.path.relpath(path, former.parent)
            moved.append(Path(os.path.normpath(project.folder / relative)).as_uri())
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
