"""Permissions: which roles may call which method. A method without a line here is refused to all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from wsisam_server.service.identity import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

Callers: TypeAlias = frozenset[Role | None]
"""Roles; None is a caller without a token."""

READERS: Final[Callers] = frozenset(Role)
ANNOTATORS: Final[Callers] = frozenset({Role.ANNOTATOR, Role.ADMIN})
ANYONE: Final[Callers] = frozenset({None, *Role})

UNKNOWN_METHOD: Final = "/wsisam.v1.Unknown"
"""Stands for all methods of ours that there are not, such as those of another release."""

METHOD_PERMISSIONS: Final[Mapping[str, Callers]] = {
    "/wsisam.v1.Segmentation/ListModels": READERS,
    # Readers name slides by their files, too.
    "/wsisam.v1.Segmentation/OpenSlide": READERS,
    "/wsisam.v1.Segmentation/CloseSlide": READERS,
    "/wsisam.v1.Segmentation/Segment": ANNOTATORS,
    "/wsisam.v1.Segmentation/SegmentBatch": ANNOTATORS,
    "/wsisam.v1.Segmentation/Interact": ANNOTATORS,
    "/wsisam.v1.Segmentation/SegmentEverything": ANNOTATORS,
    "/wsisam.v1.Annotations/Save": ANNOTATORS,
    "/wsisam.v1.Annotations/Get": READERS,
    "/wsisam.v1.Annotations/List": READERS,
    "/wsisam.v1.Annotations/Delete": ANNOTATORS,
    "/wsisam.v1.Annotations/Restore": ANNOTATORS,
    "/wsisam.v1.Annotations/ListRevisions": READERS,
    "/wsisam.v1.Annotations/ListSlides": READERS,
    "/wsisam.v1.Annotations/GetStore": READERS,
    "/wsisam.v1.Annotations/Watch": READERS,
    "/wsisam.v1.Annotations/Sync": ANNOTATORS,
    # What release this is, strangers are not told.
    UNKNOWN_METHOD: READERS,
    # Load balancers and monitors have no tokens; they learn only whether the server serves.
    "/grpc.health.v1.Health/Check": ANYONE,
    "/grpc.health.v1.Health/List": ANYONE,
    # Streams stay open, so strangers get none.
    "/grpc.health.v1.Health/Watch": READERS,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": READERS,
}
"""Which annotations a caller then sees and may change, the store decides: see `store.Scope`."""
