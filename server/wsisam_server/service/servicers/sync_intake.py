"""What a client says of an image that it syncs, message by message, to what the sync room takes.

Annotations that are sent in full are decoded as they come, so that whatever is wrong with one of them is found before
anything is done; then they wait outside the memory until all is there.
"""

from __future__ import annotations

import pickle
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.annotations.store.shape import from_wkb, to_wkb
from wsisam_server.annotations.sync.client_image import ClientImage, SyncOptions
from wsisam_server.annotations.sync.drawings import UNUSABLE, usable_list
from wsisam_server.annotations.sync.model import Drawing
from wsisam_server.annotations.sync.plan import Direction, Resolution, Side
from wsisam_server.annotations.sync.store_side import Refusal
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.shapes import GeometryRepairer
from wsisam_server.core.spool import Spool
from wsisam_server.service.identity import current_user
from wsisam_server.wire import annotation_from_proto as from_proto
from wsisam_server.wire.from_proto import invalid
from wsisam_server.wire.shape_from_proto import shapes_of

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator, Sequence

    from shapely.geometry.base import BaseGeometry

    from wsisam_server.core.settings import Limits

DIRECTIONS: Final = {
    pb.SYNC_DIRECTION_UNSPECIFIED: Direction.BOTH,
    pb.SYNC_DIRECTION_BOTH: Direction.BOTH,
    pb.SYNC_DIRECTION_TO_CLIENT: Direction.TO_PROJECT,
    pb.SYNC_DIRECTION_TO_STORE: Direction.TO_STORE,
}

SIDES: Final = {
    pb.SYNC_SIDE_UNSPECIFIED: None,
    pb.SYNC_SIDE_STORE: Side.STORE,
    pb.SYNC_SIDE_CLIENT: Side.QUPATH,
}

_AT_ONCE: Final = 500
"""Annotations that are taken out of the spool at once."""


class SyncIntake:
    """The messages of one Sync, until `end` has come.

    Attributes:
        start: the first message; None until it has come.
        ended: all has come.
    """

    def __init__(self, limits: Limits) -> None:
        self.start: pb.SyncStart | None = None
        self.ended = False
        self._limits = limits
        self._sha256 = sha256()
        self._bytes = 0
        self._ids: set[uuid.UUID] = set()
        self._changed: dict[uuid.UUID, int] = {}
        self._unchanged: dict[uuid.UUID, int] = {}
        self._missing: dict[uuid.UUID, int] = {}
        self._excluded: set[uuid.UUID] = set()
        self._refused: dict[uuid.UUID, Refusal] = {}
        self._repairer = GeometryRepairer()
        self._spool = Spool()

    @property
    def fingerprint(self) -> bytes:
        """Of all messages: that of a repetition is the same."""
        return self._sha256.digest()

    def take(self, message: pb.AnnotationsSyncRequest) -> None:
        """Takes the next message.

        Raises:
            WsiSamServerError: INVALID_FIELD; SYNC_TOO_LARGE.
        """
        kind = message.WhichOneof("message")
        if kind is None:
            raise invalid("message", "it is empty, or of a kind that this server does not know")
        if self.start is None and kind != "start":
            raise invalid(kind, "'start' must come first")
        if self.start is not None and kind == "start":
            raise invalid("start", "it comes twice")
        if self.ended:
            raise invalid(kind, "it comes after 'end'")
        data = message.SerializeToString(deterministic=True)
        self._sha256.update(len(data).to_bytes(8, "big") + data)
        self._bytes += len(data)
        if self._bytes > self._limits.sync_bytes:
            raise WsiSamServerError(Reason.SYNC_TOO_LARGE, limit=f"{self._limits.sync_bytes} bytes")
        if kind == "start":
            self._start(message.start)
        elif kind == "batch":
            self._batch(message.batch)
        else:
            self.ended = True

    def asked(self) -> tuple[ClientImage, SyncOptions, dict[uuid.UUID, Refusal]]:
        """What is asked, and which annotations cannot be synced, and why.

        Raises:
            WsiSamServerError: INVALID_FIELD: the messages did not come to their end.
        """
        if self.start is None or not self.ended:
            raise invalid("end", "the client sent no more before it: nothing was done")
        start = self.start
        image = ClientImage(
            slide=from_proto.slide(start.slide, "start.slide"),
            changed=self._changed,
            drawings=self._drawings,
            unchanged=self._unchanged,
            missing=self._missing,
            excluded=frozenset(self._excluded | self._refused.keys()),
            store_id=start.store_id,
        )
        options = SyncOptions(
            author=current_user().author(start.author),
            project=start.project,
            direction=DIRECTIONS[start.direction],
            resolution=Resolution(SIDES[start.resolve]),
            dry_run=start.validate_only,
        )
        return image, options, self._refused

    def _start(self, start: pb.SyncStart) -> None:
        length = self._limits.id_length
        if not 1 <= len(start.request_id) <= length:
            raise invalid("start.request_id", f"it must have 1 to {length} characters")
        if not current_user().author(start.author):
            raise invalid("start.author", "it is empty")
        if not from_proto.slide(start.slide, "start.slide").slide_id:
            raise invalid("start.slide.slide_id", "it is empty")
        if start.direction not in DIRECTIONS:
            raise invalid("start.direction", "it is not known here")
        if start.resolve not in SIDES:
            raise invalid("start.resolve", "it is not known here")
        self.start = start

    def _batch(self, batch: pb.SyncBatch) -> None:
        for name, taken in (("unchanged", self._unchanged), ("missing", self._missing)):
            for number, one in enumerate(getattr(batch, name)):
                field = f"batch.{name}[{number}]"
                taken[self._new_id(one.id, f"{field}.id")] = self._synced(one.revision, f"{field}.revision")
        for number, one in enumerate(batch.excluded_ids):
            self._excluded.add(self._new_id(one, f"batch.excluded_ids[{number}]"))
        self._take_changed(batch.changed)

    def _take_changed(self, messages: Sequence[pb.Annotation]) -> None:
        field = "batch.changed"
        shapes = usable_list(shapes_of(messages, field), self._repairer) if messages else []
        kept: list[tuple[uuid.UUID, Drawing]] = []
        for number, (message, shape) in enumerate(zip(messages, shapes, strict=True)):
            one = self._new_id(message.id, f"{field}[{number}].id")
            revision = from_proto.revision(message.revision, f"{field}[{number}].revision")
            if shape is None:
                self._refused[one] = Refusal(Reason.INVALID_SHAPE, UNUSABLE)
            else:
                self._changed[one] = revision
                kept.append((one, _drawing(message, shape)))
        for start in range(0, len(kept), _AT_ONCE):
            self._spool.append(_packed(kept[start : start + _AT_ONCE]))

    def _new_id(self, said: str, field: str) -> uuid.UUID:
        one = from_proto.annotation_id(said, field)
        if one in self._ids:
            raise invalid(field, "it comes twice")
        if len(self._ids) >= self._limits.annotations_per_sync:
            raise WsiSamServerError(Reason.SYNC_TOO_LARGE, limit=f"{self._limits.annotations_per_sync} annotations")
        self._ids.add(one)
        return one

    @staticmethod
    def _synced(revision: int, field: str) -> int:
        if revision <= 0:
            raise invalid(field, "it must be a revision of the store")
        return revision

    def _drawings(self) -> Iterator[dict[uuid.UUID, Drawing]]:
        return map(_unpacked, self._spool)


def _packed(drawings: Sequence[tuple[uuid.UUID, Drawing]]) -> bytes:
    """Drawings as bytes for this process alone."""
    words = [
        (one, said.path_class, said.rgb, said.name, said.locked, said.measurements, said.metadata)
        for one, said in drawings
    ]
    return pickle.dumps((words, to_wkb([said.shape for _, said in drawings])))


def _unpacked(data: bytes) -> dict[uuid.UUID, Drawing]:
    words, wkb = pickle.loads(data)  # noqa: S301 - of `_packed`, in a file that nobody else can name
    return {one: Drawing(shape, *said) for (one, *said), shape in zip(words, from_wkb(wkb), strict=True)}


def _drawing(message: pb.Annotation, shape: BaseGeometry) -> Drawing:
    return Drawing(
        shape=shape,
        path_class=from_proto.path_class(message.path_class) if message.HasField("path_class") else None,
        rgb=message.rgb if message.HasField("rgb") else None,
        name=message.name,
        locked=message.locked,
        measurements=dict(message.measurements),
        metadata=dict(message.metadata),
    )
