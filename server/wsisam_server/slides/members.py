"""The files that make up one slide together with the one that names it."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_LARGEST_INDEX: Final = 16 * 1024 * 1024
_HEADER_BYTES: Final = 64 * 1024
_SAMPLES: Final = 16
_SAMPLE_BYTES: Final = 64 * 1024
_NAMED: Final = re.compile(r"^[^=\n]*=\s*(.+?)\s*$", re.MULTILINE)
_TAG: Final = b"wsisam set content 1\0"


def members(vendor: str, path: Path, series: str = "") -> tuple[Path, ...]:
    """The other files that OpenSlide reads for a slide.

    For MIRAX those of its folder, for DICOM those of the series in the same folder, for Hamamatsu's VMS and VMU those
    that the index names.

    Args:
        vendor: OpenSlide's name of the format.
        path: the file that names the slide.
        series: the DICOM SeriesInstanceUID, as OpenSlide gives it.

    Raises:
        OSError: a folder cannot be read.
    """
    if vendor == "mirax":
        folder = path.with_suffix("")
        return tuple(sorted(folder.iterdir())) if folder.is_dir() else ()
    if vendor == "dicom":
        others = (one for one in sorted(path.parent.iterdir()) if one != path and one.is_file())
        return tuple(one for one in others if _holds(one, series.encode()))
    if vendor == "hamamatsu":
        return tuple(sorted({path.parent / name for name in _names(path)} - {path}))
    return ()


def lead_out(paths: Sequence[Path], roots: Sequence[Path]) -> bool:
    """Whether one of these files lies, by a link or by its name, outside all of the folders.

    Args:
        paths: of a set.
        roots: real paths.
    """
    real = (Path(os.path.realpath(one)) for one in paths)
    return any(not any(one.is_relative_to(root) for root in roots) for one in real)


def named_elsewhere(vendor: str, path: Path) -> bool:
    """Whether a MIRAX index names files by more than a name: it would be read wherever that leads."""
    if vendor != "mirax":
        return False
    index = path.with_suffix("") / "Slidedat.ini"
    return any("/" in value or "\\" in value or value == ".." for key, value in _pairs(index) if _is_file_key(key))


def content_digest(fingerprint: str, paths: Sequence[Path]) -> str:
    """Hashes what a set holds beyond what its fingerprint covers: SHA-256 over names, sizes and samples, hexadecimal.

    OpenSlide's quick hash, on which the fingerprint of a set rests, covers the metadata and the coarsest level. This
    covers each file's size, its ends and 16 blocks of 64 KiB between them (about 1 MiB a file): it tells whether what
    was encoded before is still what the files show.

    Raises:
        OSError: one cannot be read.
    """
    digest = hashlib.sha256(_TAG + fingerprint.encode())
    for path in sorted(paths):
        with path.open("rb") as file:
            size = file.seek(0, 2)
            digest.update(f"{path.name}\0{size}\0".encode("utf-8", "surrogateescape"))
            room = max(size - _SAMPLE_BYTES, 0)
            for number in range(_SAMPLES + 2):
                file.seek(room * number // (_SAMPLES + 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _holds(path: Path, text: bytes) -> bool:
    with path.open("rb") as file:
        return text in file.read(_HEADER_BYTES)


def _names(path: Path) -> list[str]:
    if path.stat().st_size > _LARGEST_INDEX:
        return []
    text = path.read_bytes().decode("utf-8", "replace")
    return [value for value in _NAMED.findall(text) if (path.parent / value).is_file()]


def _pairs(path: Path) -> list[tuple[str, str]]:
    if not path.is_file() or path.stat().st_size > _LARGEST_INDEX:
        return []
    lines = path.read_bytes().decode("utf-8-sig", "replace").splitlines()
    return [(key.strip(), value.strip()) for key, found, value in (line.partition("=") for line in lines) if found]


def _is_file_key(key: str) -> bool:
    return key.startswith("FILE_") or key == "INDEXFILE"
