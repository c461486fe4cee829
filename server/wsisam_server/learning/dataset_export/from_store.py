"""Reads an annotation set from a store."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from wsisam_server.annotations.store import SlideRecord, listed
from wsisam_server.learning.dataset_export.annotation_set import AnnotatedSlide, AnnotationSet, ClassFilter, LabelSource

if TYPE_CHECKING:
    from wsisam_server.annotations.store import Annotation, AnnotationFilter, Store

_FINGERPRINT: Final = 64
"""Hex digits of a slide's fingerprint; other ids are names that clients gave."""


_ALL: Final = ClassFilter()


def read_store(
    store: Store, annotation_filter: AnnotationFilter, *, class_filter: ClassFilter = _ALL, since: int = 0
) -> AnnotationSet:
    """The annotations that a store has now.

    Args:
        store: read page by page.
        annotation_filter: which.
        class_filter: which classes.
        since: only those changed after this revision.
    """
    found, revision = listed(store, annotation_filter, after=since)
    by_slide: dict[str, list[Annotation]] = defaultdict(list)
    for one in found.values():
        by_slide[one.content.slide_id].append(one)
    records = {record.slide_id: record for record in store.slides(by_slide)}
    slides = []
    left_out: Counter[str] = Counter()
    for slide_id in sorted(by_slide):
        objects = (_label_source(one) for one in sorted(by_slide[slide_id], key=lambda one: one.id))
        if of_slide := class_filter.of(objects, left_out):
            slides.append(annotated_slide(records.get(slide_id, SlideRecord(slide_id)), of_slide))
    return AnnotationSet(tuple(slides), {"store": store.identity, "revision": revision}, left_out)


def annotated_slide(record: SlideRecord, objects: tuple[LabelSource, ...] = ()) -> AnnotatedSlide:
    """A slide of the store, with its annotations."""
    return AnnotatedSlide(
        name=file_name(record.uris[-1] if record.uris else record.slide_id),
        uris=record.uris,
        objects=objects,
        identity=record.slide_id if _is_fingerprint(record.slide_id) else None,
        size=record.size,
    )


def file_name(uri: str) -> str:
    """The last part of a path or a URI."""
    return PurePosixPath(unquote(uri).replace("\\", "/")).name or uri


def _is_fingerprint(slide_id: str) -> bool:
    return len(slide_id) == _FINGERPRINT and set(slide_id) <= set("0123456789abcdef")


def _class_name(one: Annotation) -> str:
    return "" if one.content.path_class is None else one.content.path_class.name


def _label_source(one: Annotation) -> LabelSource:
    made = one.content.provenance
    return LabelSource(
        id=one.id,
        shape=one.content.shape,
        version=str(one.revision),
        class_name=_class_name(one),
        author=one.author,
        model="" if made is None else made.model,
        weights_hash="" if made is None else made.weights_hash,
    )
