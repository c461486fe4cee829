"""A file of annotations, of any kind that is known."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Final

from wsisam_server.annotations.formats import asap, geojson, imagescope, markup
from wsisam_server.annotations.formats.errors import FormatError, FrameError
from wsisam_server.annotations.formats.parsed import short

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_server.annotations.formats.parsed import ParsedFile

    Origin = Callable[[], tuple[float, float] | None]

KINDS: Final = ("geojson", "asap", "imagescope")

_BEFORE: Final = codecs.BOM_UTF8 + codecs.BOM_UTF16_LE + b"\0 \t\r\n"
"""Bytes that may stand before the first letter of a text."""


def read(
    data: bytes, slide_id: str, project: str = "", *, origin: Origin = lambda: None, kind: str = "auto"
) -> ParsedFile:
    """The annotations in a file that is not packed.

    Args:
        data: its content, in any encoding of Unicode, or for XML as it declares.
        slide_id: the slide that they are on.
        project: what they belong to.
        origin: is asked, for formats that count from the corner of the whole scanned frame, where the slide's own
            coordinates begin in it (level-0 pixels); None when that is not known.
        kind: one of `KINDS`, or "auto": told by what is in it.

    Raises:
        FormatError: it is of no such kind.
        FrameError: the origin is needed and not known.
    """
    if kind == "auto":
        kind = _kind(data)
    if kind == "geojson":
        return geojson.read(_text(data), slide_id, project)
    start = origin()
    module, program = (asap, "ASAP") if kind == "asap" else (imagescope, "ImageScope")
    if start is None:
        raise FrameError(program)
    found: ParsedFile = module.read(data, slide_id, project, start)
    return found


def _kind(data: bytes) -> str:
    if data[:64].lstrip(_BEFORE)[:1] != b"<":
        return "geojson"
    tag = markup.parse(data).tag
    if tag == asap.ROOT:
        return "asap"
    if tag == imagescope.ROOT:
        return "imagescope"
    raise FormatError(f"this is XML of neither ASAP nor ImageScope: it begins with <{short(tag)}>")


def _text(data: bytes) -> str:
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise FormatError(
            f"this is no text in Unicode (at byte {error.start}), as JSON has to be; save it as UTF-8"
        ) from error
