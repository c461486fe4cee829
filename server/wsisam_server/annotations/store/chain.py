"""Digests over rows. The revisions' form a chain: a history that is changed afterwards does not fit its digests.

A revision's `chain` is SHA-256 over the `chain` of the revision before it (by number, over the whole store) and over
all that its row says: its content by the content's own digest. So whoever keeps the newest one elsewhere can tell later
whether anything up to there was changed, added or taken away, even by somebody who computes all digests anew.

What is not a revision, and may change, has a checksum of its own: it shows damage, and what was edited by hand.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import sqlalchemy as sa

START: Final = bytes(32)
"""Before the first revision."""

_TAG: Final = b"wsisam revision 1\0"


def link(before: bytes, row: Mapping[str, Any] | sa.RowMapping) -> bytes:
    """A revision's digest in the chain.

    Args:
        before: that of the revision before; `START` for the first.
        row: the columns of the revision's row that are not its content, with the slide's id as `slide_id` and the
            content's `digest`.
    """
    # A database may keep -0.0 as 0.
    bounds = [row[name] + 0.0 for name in ("x0", "y0", "x1", "y1")]
    said = [row["number"], row["annotation_id"].hex, row["previous"], row["kind"], row["at"], row["author"]]
    text = json.dumps([*said, row["slide_id"], *bounds], separators=(",", ":"), ensure_ascii=False).encode()
    return hashlib.sha256(b"".join((_TAG, before, row["digest"], text))).digest()


def of_slide(number: int, slide_id: str, width: int | None, height: int | None, uris: Iterable[str]) -> bytes:
    """The checksum of what is known of a slide; `uris` in the order of their rows."""
    return _checksum("slide", [number, slide_id, width, height, *uris])


def of_request(request_id: str, fingerprint: bytes, answer: str, at: int) -> bytes:
    """The checksum of what a request was answered."""
    return _checksum("request", [request_id, fingerprint.hex(), answer, at])


def of_store(identity: str) -> bytes:
    """The checksum of a store's own id."""
    return _checksum("store", [identity])


def _checksum(what: str, said: list[Any]) -> bytes:
    text = json.dumps([what, *said], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).digest()
