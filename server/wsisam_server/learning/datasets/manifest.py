"""The manifest: a CSV file that names the images of a data set and the objects drawn on them."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from wsisam_server.core.spelling import decoded, find_spelled
from wsisam_server.learning.datasets.errors import DatasetError

REQUIRED = ("image", "mask")
OPTIONAL = ("mpp", "split", "white")

_SEPARATORS = (",", ";", "\t")
_BRIGHTEST = 255
_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One image of a data set.

    Attributes:
        line: where the manifest names it, counted from 1 with the header.
        image: the image file.
        mask: the label image of the same size: 0 is background, each other value one object.
        mpp: microns per pixel, if known.
        split: which part of the data set it belongs to, usually "train" or "val"; None when the manifest has none.
        white: red, green and blue of the background in the image where it is darker than on a slide; see `load`.
    """

    line: int
    image: Path
    mask: Path
    mpp: float | None = None
    split: str | None = None
    white: tuple[float, float, float] | None = None


def read_manifest(path: Path, *, split: str | None = None) -> list[Row]:
    """Reads a manifest; no image is opened.

    Args:
        path: CSV with a header; columns image, mask and, if wanted, mpp, split and white, in any order; others are
            ignored. Commas, semicolons or tabs separate them, as spreadsheets of the user's country write it. It is
            UTF-8 or has a byte order mark. Files are relative to the manifest's folder; backslashes count as slashes.
        split: only the rows of this split.

    Returns:
        Rows in the order of the file, at least one.

    Raises:
        DatasetError: the file cannot be read as such a table, a cell is empty or no number, or no row is left.
    """
    try:
        lines = csv.reader(*_lines(decoded(path.read_bytes())), strict=True)
        table = [(lines.line_num, cells) for cells in lines if any(cell.strip() for cell in cells)]
    except OSError as error:
        raise DatasetError(path, None, f"the manifest cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DatasetError(path, None, "the manifest is not UTF-8 text; save it as CSV with UTF-8") from error
    except csv.Error as error:
        raise DatasetError(path, lines.line_num, f"not CSV: {error}") from error
    if not table:
        raise DatasetError(path, None, "the manifest is empty; its first line must name the columns image,mask")
    header = _header(path, *table[0])
    rows = [_row(path, line, header, cells) for line, cells in table[1:]]
    chosen = [row for row in rows if split is None or row.split == split]
    if not chosen:
        names = ", ".join(sorted({row.split for row in rows if row.split})) or "none"
        missing = "rows" if split is None else f"rows of split {split!r} (splits in it: {names})"
        raise DatasetError(path, None, f"the manifest has no {missing}")
    return chosen


def _lines(text: str) -> tuple[io.StringIO, type[csv.Dialect]]:
    """The lines, and how cells are separated: by the one that makes most columns of the first line."""
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep="):  # Excel's own word about the separator
        text, (first, _, _) = rest, rest.partition("\n")

    class Found(csv.excel):
        delimiter = max(_SEPARATORS, key=first.count)

    return io.StringIO(text, newline=""), Found


def _file(folder: Path, name: str) -> Path:
    """What a cell names, in the spelling that is there."""
    plain = folder / name
    if plain.exists():
        return plain
    slashes = Path(name.replace("\\", "/"))
    if slashes.is_absolute():
        return slashes
    return find_spelled(folder, slashes.parts) or folder / slashes


def _header(path: Path, line: int, cells: list[str]) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    for name in REQUIRED:
        if name not in header:
            raise DatasetError(
                path, line, f"there is no column {name!r}; the first line must name image,mask and may name mpp,split"
            )
    for name in (*REQUIRED, *OPTIONAL):
        if header.count(name) > 1:
            raise DatasetError(path, line, f"the column {name!r} is there {header.count(name)} times; keep one")
    return header


def _row(path: Path, line: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        raise DatasetError(
            path, line, f"{len(cells)} cells for {len(header)} columns; a name that holds the separator must be quoted"
        )
    values = dict(zip(header, (cell.strip() for cell in cells), strict=True))
    for name in REQUIRED:
        if not values[name]:
            raise DatasetError(path, line, f"the column {name!r} is empty; name a file")
    return Row(
        line=line,
        image=_file(path.parent, values["image"]),
        mask=_file(path.parent, values["mask"]),
        mpp=_mpp(path, line, values.get("mpp", "")),
        split=values.get("split") or None,
        white=_white(path, line, values.get("white", "")),
    )


def _white(path: Path, line: int, text: str) -> tuple[float, float, float] | None:
    """One number for all channels, or three with spaces between them."""
    if not text:
        return None
    try:
        levels = [_number(each) for each in text.split()]
    except ValueError:
        levels = []
    if len(levels) == 1:
        levels *= _CHANNELS
    if len(levels) != _CHANNELS or not all(0 < level <= _BRIGHTEST for level in levels):
        raise DatasetError(
            path,
            line,
            f"white is {text!r}; write the background's red, green and blue as three numbers above 0 and up to 255 "
            "with spaces between them, or leave it empty",
        )
    return levels[0], levels[1], levels[2]


def _mpp(path: Path, line: int, text: str) -> float | None:
    if not text:
        return None
    try:
        mpp = _number(text)
    except ValueError:
        mpp = math.nan
    if not 0 < mpp < math.inf:
        raise DatasetError(
            path, line, f"mpp is {text!r}; write microns per pixel as a number above 0, or leave it empty"
        )
    return mpp


def _number(text: str) -> float:
    """A number, with a decimal comma where the spreadsheet wrote one."""
    return float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
