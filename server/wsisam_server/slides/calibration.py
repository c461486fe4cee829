"""How large a pixel is: what files claim, which of it can be believed, and who says it."""

from __future__ import annotations

import contextlib
import io
import math
import re
from typing import Any, Final, Protocol
from xml.etree import ElementTree as ET

from wsisam_server.core.pixel_size import Axes, plausible_axes

# TIFF 6.0, section 8: ResolutionUnit 2 is inch, 3 is centimetre; 1 is "no absolute unit".
_MICRONS_PER_UNIT = {2: 25_400.0, 3: 10_000.0}
_DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 270, 282, 283, 296

# OME 2016-06, UnitsLength: those that somebody could measure a pixel in. "pixel" and "reference frame" are none. The
# micro sign has two code points.
_MICRONS: Final = {
    "m": 1e6,
    "dm": 1e5,
    "cm": 1e4,
    "mm": 1e3,
    "\N{MICRO SIGN}m": 1.0,
    "\N{GREEK SMALL LETTER MU}m": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "nm": 1e-3,
    "pm": 1e-6,
    "\N{LATIN CAPITAL LETTER A WITH RING ABOVE}": 1e-4,
    "\N{ANGSTROM SIGN}": 1e-4,
    "in": 25_400.0,
    "inch": 25_400.0,
    "ft": 304_800.0,
    "pt": 25_400.0 / 72,
    "li": 25_400.0 / 12,
    "thou": 25.4,
}
_IMAGEJ_UNIT = re.compile(r"^unit=(.*)$", re.MULTILINE)


class TagMapping(Protocol):
    """The tags of a TIFF's page, by number."""

    def get(self, tag: int, /) -> Any:
        """A tag's value; None where the page has no such tag."""
        ...

    def __getitem__(self, tag: int, /) -> Any:
        """A tag's value; KeyError where the page has none."""
        ...


def tiff_axes(tags: TagMapping) -> Axes | None:
    """The pixel size in the tags of a TIFF's first page, where it is plausible.

    OME-XML's PhysicalSizeX and PhysicalSizeY come first, as in Bio-Formats; then the resolution tags, in the unit that
    ImageJ writes into the description where the tags have none.

    Args:
        tags: values by number: 270 as text, 282 and 283 as numbers, 296 as an integer.
    """
    description = tags.get(_DESCRIPTION)
    text = description if isinstance(description, str) else ""
    stated = ome_axes(text)
    if stated is not None:
        return stated
    unit = tags.get(_RESOLUTION_UNIT)
    microns = _MICRONS_PER_UNIT.get(2 if unit is None else unit) or _imagej_microns(text)
    if microns is None:
        return None
    try:
        return plausible_axes(microns / float(tags[_X_RESOLUTION]), microns / float(tags[_Y_RESOLUTION]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def ome_axes(description: str) -> Axes | None:
    """The pixel size of the first image in OME-XML, where it is plausible.

    Args:
        description: an image description; of another kind or damaged, it says nothing.
    """
    # OME-XML has no document type; entities are for mischief.
    if ("<OME" not in description and ":OME" not in description) or "<!" in description.partition("<OME")[0]:
        return None
    try:
        for _, element in ET.iterparse(io.BytesIO(_xml_bytes(description)), events=("start",)):  # noqa: S314
            if element.tag.rpartition("}")[2] == "Pixels":
                return plausible_axes(_physical(element, "X"), _physical(element, "Y"))
    except (ET.ParseError, LookupError, UnicodeError, ValueError):
        pass
    return None


def _xml_bytes(text: str) -> bytes:
    """The text as a file would hold it, without a declaration, whose encoding need not be that of `text`."""
    start = text.find("<")
    if text.startswith("<?xml", start):
        start = text.find("?>", start) + 2
    with contextlib.suppress(UnicodeError):
        # PIL reads tags as Latin-1, and OME-XML is UTF-8.
        text = text.encode("latin-1").decode("utf-8")
    return text[start:].encode("utf-8")


def _physical(element: ET.Element, axis: str) -> float | None:
    value = element.get(f"PhysicalSize{axis}")
    microns = _MICRONS.get(element.get(f"PhysicalSize{axis}Unit", "um").strip())
    if value is None or microns is None:
        return None
    size = float(value) * microns
    return size if math.isfinite(size) else None


def _imagej_microns(description: str) -> float | None:
    if not description.startswith("ImageJ="):
        return None
    unit = _IMAGEJ_UNIT.search(description)
    # It writes the micro sign as "\u00B5", in so many letters.
    return None if unit is None else _MICRONS.get(unit[1].strip().replace("\\u00B5", "\N{MICRO SIGN}"))
