"""Page tokens of unary lists (AIP-158): where a list goes on, and of which request that is.

A token holds all that it needs: the position, and a digest of the request. So nothing on the server depends on it, it
stays good over restarts, and one that is used with another request is noticed. It is no secret, and grants nothing.
"""

from __future__ import annotations

import base64
import binascii
import copy
import hashlib
from typing import TYPE_CHECKING, Final

from wsisam_server.wire.from_proto import invalid

if TYPE_CHECKING:
    from wsisam.v1 import annotations_pb2 as pb

    Request = pb.AnnotationsListRevisionsRequest | pb.AnnotationsListSlidesRequest

_DIGEST_BYTES: Final = 8


def position(request: Request) -> str | None:
    """Where a page begins, as `token` was given it; None for the first page.

    Raises:
        WsiSamServerError: INVALID_FIELD.
    """
    if not request.page_token:
        return None
    try:
        token = base64.b64decode(request.page_token.encode(), altchars=b"-_", validate=True)
        digest, found = token[:_DIGEST_BYTES], token[_DIGEST_BYTES:].decode()
    except (binascii.Error, ValueError) as error:
        raise invalid("page_token", "it was not made by this server") from error
    if digest != _digest(request):
        raise invalid("page_token", "it is of another request; between pages only page_size may change")
    return found


def revision(request: pb.AnnotationsListRevisionsRequest) -> int | None:
    """The revision after which a page begins; None for the first page.

    Raises:
        WsiSamServerError: INVALID_FIELD.
    """
    found = position(request)
    if found is not None and not (found.isascii() and found.isdigit()):
        raise invalid("page_token", "it was not made by this server")
    return None if found is None else int(found)


def token(request: Request, after: str) -> str:
    """The token of the page that follows.

    Args:
        request: the one that is being answered.
        after: where the page that is sent ends.
    """
    return base64.urlsafe_b64encode(_digest(request) + after.encode()).decode()


def page_size(request: Request, default: int, most: int) -> int:
    """How many entries a page may have.

    Raises:
        WsiSamServerError: INVALID_FIELD.
    """
    if request.page_size < 0:
        raise invalid("page_size", "it is negative")
    return min(request.page_size or default, most)


def _digest(request: Request) -> bytes:
    same = copy.deepcopy(request)
    same.ClearField("page_size")
    same.ClearField("page_token")
    text = same.SerializeToString(deterministic=True)
    return hashlib.sha256(same.DESCRIPTOR.full_name.encode() + text).digest()[:_DIGEST_BYTES]
