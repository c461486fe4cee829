"""XML as other programs write it, whatever encoding it says it is in."""

from __future__ import annotations

import codecs
import re
import xml.etree.ElementTree as ET
from typing import Final

from wsisam_server.annotations.formats.errors import FormatError

_DECLARATION: Final = re.compile(r"^\s*<\?xml[^>]*\?>")
_DECLARED: Final = re.compile(rb"^[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)


def parse(data: str | bytes) -> ET.Element:
    """The root element, without namespaces in the tags.

    Args:
        data: a text, or bytes in the encoding that the file declares.

    Raises:
        FormatError: it is no XML, or not in an encoding that is known.
    """
    try:
        root = _root(data)
    except (ET.ParseError, ValueError, LookupError) as error:
        if isinstance(data, str):
            raise _problem(error) from error
        root = _decoded(data, error)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _decoded(data: bytes, error: Exception) -> ET.Element:
    """For encodings that the parser does not know, and files that declare another one than theirs."""
    declared = _DECLARED.match(data)
    encoding = declared[1].decode() if declared else "utf-8"
    # Declared in single bytes, so it is not written in pairs.
    encoding = "utf-8" if encoding.lower().startswith(("utf-16", "utf-32", "ucs")) else encoding
    encoding = next((known for mark, known in _MARKS if data.startswith(mark)), encoding)
    try:
        text = data.decode(encoding)
    except LookupError as unknown:
        raise FormatError(
            f"it is written in '{encoding}', an encoding that is not known; save it as UTF-8"
        ) from unknown
    except UnicodeError as wrong:
        raise FormatError(f"it is no XML in {encoding}, as which it is written; save it as UTF-8") from wrong
    try:
        return _root(_DECLARATION.sub("", text, count=1))
    except (ET.ParseError, ValueError):
        raise _problem(error) from error


def _root(data: str | bytes) -> ET.Element:
    # Python's parser (expat 2.4.1 and newer) stops at texts that blow up, and never reads other files.
    return ET.fromstring(data)  # noqa: S314


def _problem(error: Exception) -> FormatError:
    line, column = getattr(error, "position", (0, 0))
    where = f" (line {line}, column {column})" if line else ""
    return FormatError(f"this is no XML, or not all of it{where}; export it again")
