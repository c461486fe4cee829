"""The store's interface. What it promises is proved by one test class, which every kind of store passes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from typing_extensions import Self

from wsisam_server.annotations.store import standing
from wsisam_server.annotations.store.model import AnnotationFilter
from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence
    from types import TracebackType

    from wsisam_server.annotations.store.model import (
        Annotation,
        Draft,
        Page,
        Patch,
        Saved,
        SlideRecord,
        SlideSummary,
        Target,
    )
    from wsisam_server.annotations.store.standing import Standing

_AT_ONCE: Final = 1000


class Store(ABC):
    """Annotations with their history. All methods block and are safe to call from several threads and processes.

    Revisions. Every change makes a revision: numbers go up over the whole store, without two changes sharing one, and
    in the order in which changes become visible, so that whoever has seen revision n misses nothing by asking for
    what comes after n. Revisions are never altered or removed; a deletion is a revision.

    Changes. One call's changes are stored together or not at all, and are on the disk when it returns. A change names
    the revision that it was made to; if that is not the latest, the call fails with both versions. A change that
    has no effect adds no revision. A call that is repeated with its request id returns what it returned before.

    Trials. With `validate_only`, a change is compared with the store as ever, and fails as it would fail. Nothing is
    stored, and the request id is neither looked for nor remembered.

    Every method raises WsiSamServerError: STORE_BUSY, STORE_FULL, STORE_UNAVAILABLE or STORE_DAMAGED.
    """

    @property
    @abstractmethod
    def identity(self) -> str:
        """What tells this store from every other: random, made with it, and kept in its backups."""

    @property
    @abstractmethod
    def schema_version(self) -> str:
        """The version of its form in the database."""

    @abstractmethod
    def head(self) -> int:
        """The latest revision's number; 0 when there is none."""

    @abstractmethod
    def save(
        self,
        drafts: Sequence[Draft | Patch],
        *,
        author: str,
        request_id: str,
        slides: Collection[SlideRecord] = (),
        validate_only: bool = False,
    ) -> list[Saved]:
        """Stores annotations, new or changed. One that was deleted is back afterwards.

        Args:
            drafts: of different annotations, or of some of their fields.
            author: whose revisions they are.
            request_id: the caller's own, random; remembered for at least 30 days.
            slides: what is known of the slides; adds to what the store knows.
            validate_only: see above.

        Returns:
            One for each draft, in their order.

        Raises:
            RevisionConflictError: a draft was made to a revision that is not the latest.
            WsiSamServerError: ANNOTATION_NOT_FOUND (a draft expects a revision, and there is none), INVALID_SHAPE,
                INVALID_FIELD, REQUEST_ID_REUSED.
        """

    @abstractmethod
    def delete(
        self, targets: Sequence[Target], *, author: str, request_id: str, validate_only: bool = False
    ) -> list[Saved]:
        """Deletes annotations. They can be restored.

        Raises:
            RevisionConflictError: a target is at another revision than expected.
            WsiSamServerError: ANNOTATION_NOT_FOUND, INVALID_FIELD, REQUEST_ID_REUSED.
        """

    @abstractmethod
    def restore(
        self, targets: Sequence[Target], *, author: str, request_id: str, validate_only: bool = False
    ) -> list[Saved]:
        """Brings deleted annotations back, or any annotation back to an earlier revision.

        Raises:
            RevisionConflictError: a target is at another revision than expected.
            WsiSamServerError: ANNOTATION_NOT_FOUND (or no such revision of it), INVALID_FIELD, REQUEST_ID_REUSED.
        """

    @abstractmethod
    def get(self, annotation_id: uuid.UUID, revision: int | None = None) -> Annotation:
        """One annotation, deleted or not, as it is or as of one of its revisions.

        Raises:
            WsiSamServerError: ANNOTATION_NOT_FOUND.
        """

    @abstractmethod
    def listing(self, annotation_filter: AnnotationFilter, *, after: int, limit: int, deleted: bool = False) -> Page:
        """Annotations as they are, in the order of their revisions.

        Asked page by page until one is complete, nothing is missed; what is changed meanwhile comes again.

        Args:
            annotation_filter: which.
            after: only those whose latest revision is greater.
            limit: of annotations in the page; a page of very large ones is shorter.
            deleted: deleted ones, too.

        Raises:
            WsiSamServerError: REVISION_AHEAD, INVALID_FIELD.
        """

    @abstractmethod
    def changes(self, annotation_filter: AnnotationFilter, *, after: int, limit: int) -> Page:
        """All revisions after one, in order, of annotations that pass the filter at that revision or the one before.

        The one before counts, so that who follows one class (say) hears of an annotation that was given another.

        Raises:
            WsiSamServerError: REVISION_AHEAD, INVALID_FIELD.
        """

    @abstractmethod
    def history(self, annotation_id: uuid.UUID, *, after: int, limit: int) -> Page:
        """All revisions of one annotation after one, in order.

        Raises:
            WsiSamServerError: ANNOTATION_NOT_FOUND, REVISION_AHEAD.
        """

    def standings(self, slide_id: str) -> tuple[dict[uuid.UUID, Standing], int]:
        """All annotations on a slide, deleted ones, too, without their contents; and the revision up to which it holds.

        Raises:
            WsiSamServerError: INVALID_FIELD.
        """
        found: dict[uuid.UUID, Standing] = {}
        after, complete = 0, False
        while not complete:
            page = self.listing(AnnotationFilter(slide_id=slide_id), after=after, limit=_AT_ONCE, deleted=True)
            found.update((one.id, standing.of(one)) for one in page.annotations)
            after, complete = page.revision, page.complete
        return found, after

    def some(self, annotation_ids: Collection[uuid.UUID]) -> list[Annotation]:
        """Annotations as they are, deleted or not, in any order; unknown ones are left out.

        Not for many thousands at once: all of them are in memory then.
        """
        found = []
        for one in annotation_ids:
            try:
                found.append(self.get(one))
            except WsiSamServerError as error:
                if error.reason is not Reason.ANNOTATION_NOT_FOUND:
                    raise
        return found

    @abstractmethod
    def classes(self) -> list[str]:
        """The names of all classes that annotations have or once had, also deleted ones, sorted; "" for no class.

        A name that was listed stays listed, whatever is changed or deleted.
        """

    @abstractmethod
    def slides(self, slide_ids: Collection[str]) -> list[SlideRecord]:
        """What is known of slides, in any order; those of which nothing is known are left out."""

    @abstractmethod
    def slide_summaries(self) -> list[SlideSummary]:
        """The slides that hold annotations, deleted ones included.

        They are in the order in which the store first heard of them.
        """

    @abstractmethod
    def close(self) -> None:
        """Lets go of files and connections. The store must not be used afterwards; closing twice is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
