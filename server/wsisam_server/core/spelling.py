"""One name, written in several ways: composed and decomposed letters, small and capital ones, encodings of a text.

Macs hand out decomposed letters (NFD), other systems composed ones (NFC). Windows ignores case, and its shells write
UTF-16.
"""

from __future__ import annotations

import codecs
import os
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def decoded(data: bytes) -> str:
    """A text file's content: UTF-8, or as PowerShell and editors on Windows mark it, with a byte order mark.

    Raises:
        UnicodeDecodeError: it is neither.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    return data.decode("utf-8-sig")


def same_letters(text: str) -> str:
    """A text by which names are compared: its composed form."""
    return unicodedata.normalize("NFC", text)


def find_spelled(folder: Path, parts: Iterable[str], *, ignore_case: bool = False) -> Path | None:
    """What lies below a folder under some names, however these are spelled there.

    Args:
        folder: is there, as it is written.
        parts: one name a step; the first spelling that exists counts, the given one before others.
        ignore_case: as on Windows, where no name is found as it is written; two that differ by case only are none.

    Returns:
        Its path, or None where there is none. Links are not followed here.
    """
    found = folder
    for part in parts:
        step = _step(found, part, ignore_case=ignore_case)
        if step is None:
            return None
        found = step
    return found


def _step(folder: Path, name: str, *, ignore_case: bool) -> Path | None:
    for spelling in dict.fromkeys((name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))):
        if os.path.lexists(folder / spelling):
            return folder / spelling
    if not ignore_case:
        return None
    wanted = same_letters(name).casefold()
    try:
        alike = [one for one in os.listdir(folder) if same_letters(one).casefold() == wanted]  # noqa: PTH208 - names only
    except OSError:
        return None
    return folder / alike[0] if len(alike) == 1 else None
