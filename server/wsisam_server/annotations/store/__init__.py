"""Store room: annotations that are never lost, with their history, on SQLite or PostgreSQL.

What flows in: drafts, with the revision that each was made to. What flows out: annotations, revision by revision. What
was accepted is on the disk, and nothing is ever altered or removed: a change and a deletion are revisions.
It must never know of messages, models or QuPath.

`model` is the domain, `rules` its decisions, `interface` what every store does. `validation` is of what comes in,
`integrity` of what lies there. The other modules put them on a SQL database.
"""

from wsisam_server.annotations.store.async_store import AsyncStore
from wsisam_server.annotations.store.commit import Commit, provenance
from wsisam_server.annotations.store.errors import Conflict, RevisionConflictError, StoreError
from wsisam_server.annotations.store.interface import Store
from wsisam_server.annotations.store.lists import listed
from wsisam_server.annotations.store.model import (
    PATCH_FIELDS,
    Annotation,
    AnnotationFilter,
    ChangeKind,
    Content,
    Draft,
    Level,
    Page,
    Patch,
    PathClass,
    Provenance,
    Saved,
    Scope,
    SlideRecord,
    SlideSummary,
    Target,
    class_name,
    kept_levels,
)
from wsisam_server.annotations.store.opening import open_store, store_name
from wsisam_server.annotations.store.record import digest_of as digest
from wsisam_server.annotations.store.shape import canonical, canonical_many
from wsisam_server.annotations.store.standing import Standing

__all__ = [
    "PATCH_FIELDS",
    "Annotation",
    "AnnotationFilter",
    "AsyncStore",
    "ChangeKind",
    "Commit",
    "Conflict",
    "Content",
    "Draft",
    "Level",
    "Page",
    "Patch",
    "PathClass",
    "Provenance",
    "RevisionConflictError",
    "Saved",
    "Scope",
    "SlideRecord",
    "SlideSummary",
    "Standing",
    "Store",
    "StoreError",
    "Target",
    "canonical",
    "canonical_many",
    "class_name",
    "digest",
    "kept_levels",
    "listed",
    "open_store",
    "provenance",
    "store_name",
]
