"""All of a list, which a store gives page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import uuid

    from wsisam_server.annotations.store.interface import Store
    from wsisam_server.annotations.store.model import Annotation, AnnotationFilter

PAGE: Final = 1000


def listed(
    store: Store, annotation_filter: AnnotationFilter, *, after: int = 0, deleted: bool = False
) -> tuple[dict[uuid.UUID, Annotation], int]:
    """Annotations as they are now; of one that is changed while this reads, the later revision.

    Args:
        store: is asked.
        annotation_filter: which.
        after: only those changed after this revision.
        deleted: those that are deleted, too.

    Returns:
        Annotations by id, in the order of their revisions, and the revision up to which all is known.

    Raises:
        WsiSamServerError: see `Store.listing`.
    """
    found: dict[uuid.UUID, Annotation] = {}
    while True:
        page = store.listing(annotation_filter, after=after, limit=PAGE, deleted=deleted)
        found.update((one.id, one) for one in page.annotations)
        after = page.revision
        if page.complete:
            return found, after
