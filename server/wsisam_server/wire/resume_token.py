"""Resume tokens: how far a survey is, as the client keeps it, because the server keeps nothing.

A token is a digest of what the survey is about, then whole numbers in base 128: the token's form, windows done, windows
lost, how often each fate befell a click, and for each window with undecided clicks its distance to the one before and
its bits. It is not secret and not signed: whoever forges one spoils an answer to themselves alone.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from wsisam.v1 import segmentation_pb2
from wsisam_server.core.answers import ClickStatus, Counts, SurveyStep
from wsisam_server.wire.from_proto import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORM: Final = 1
"""Counted up when numbers mean something else, or when the same request is searched in another way."""

DIGEST_BYTES: Final = 16

_BITS: Final = 7
_MOST_BITS: Final = 8192
"""Of one number: more than a window has clicks."""


def digest(request: segmentation_pb2.SegmentEverythingRequest, basis: str) -> bytes:
    """What a token is bound to: the request but for the slide's id and what differs from call to call.

    Args:
        request: as it came.
        basis: see `Survey.basis`.
    """
    same = segmentation_pb2.SegmentEverythingRequest()
    same.CopyFrom(request)
    for name in ("slide_id", "tiles", "resume_token"):
        same.ClearField(name)
    data = same.SerializeToString(deterministic=True)
    return hashlib.sha256(b"%d %s\n" % (FORM, basis.encode()) + data).digest()[:DIGEST_BYTES]


def encode(step: SurveyStep, about: bytes) -> bytes:
    """The token of a step.

    Args:
        step: what became final last.
        about: from `digest`.
    """
    numbers = [step.done, step.lost, *(step.counts[fate] for fate in ClickStatus)]
    before = 0
    for number, bits in step.undecided:
        numbers += (number - before, bits)
        before = number
    return about + b"".join(map(_written, numbers))


def decode(token: bytes, about: bytes) -> SurveyStep:
    """The step after which a search goes on; whether it can be one of the search is for the survey to say.

    Raises:
        WsiSamServerError: INVALID_FIELD: it is none, or that of another request.
    """
    try:
        numbers = list(_numbers(token[DIGEST_BYTES:]))
        done, lost, *counts = numbers[: 2 + len(ClickStatus)]
        by_fate = dict(zip(ClickStatus, counts, strict=True))
        rest = numbers[2 + len(ClickStatus) :]
        undecided = tuple(zip(_sums(rest[::2]), rest[1::2], strict=True))
    except ValueError as error:
        raise invalid("resume_token", "it was not made by a server of this release") from error
    if token[:DIGEST_BYTES] != about:
        problem = "it belongs to another request, or the slide or the model's weights have changed since; begin anew"
        raise invalid("resume_token", problem)
    return SurveyStep(done=done, counts=Counts(by_fate), lost=lost, undecided=undecided)


def _written(number: int) -> bytes:
    """A number in base 128, the lowest digit first; all digits but the last have their highest bit set."""
    digits = bytearray()
    while number >> _BITS:
        digits.append(number & 0x7F | 0x80)
        number >>= _BITS
    return bytes([*digits, number])


def _numbers(data: bytes) -> Iterator[int]:
    number = shift = 0
    for digit in data:
        number |= (digit & 0x7F) << shift
        shift += _BITS
        if shift > _MOST_BITS:
            raise ValueError("a number is too large")
        if digit < 0x80:  # noqa: PLR2004 - the last digit
            yield number
            number = shift = 0
    if shift:
        raise ValueError("the last number is cut off")


def _sums(distances: Iterable[int]) -> Iterator[int]:
    place = 0
    for distance in distances:
        place += distance
        yield place
