"""The identity of a slide: what it contains, not where it lies.

Caches, annotations and sessions name a slide by this. A path would not do: the same file is seen under several
mounts, moves between disks, and may be replaced by another scan under the old name.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import openslide

if TYPE_CHECKING:
    from pathlib import Path

_MIB = 1024 * 1024
_WHOLE_FILE_BYTES = 16 * _MIB
_END_BYTES = _MIB
_SAMPLES = 32
_SAMPLE_BYTES = 64 * 1024

# Distinct tags keep the two kinds apart, and let the scheme change without an old identity meaning something new.
_FILE_TAG = b"wsisam slide file 1\0"
_SET_TAG = b"wsisam slide set 1\0"

_TIFF_MAGIC = (b"II", b"MM")


def fingerprint(path: Path) -> str:
    """Computes the identity of a slide on disk.

    Args:
        path: the file, or any file of a set that makes up one slide.

    Returns:
        64 hex digits.

    Raises:
        OSError: the file cannot be read.
        openslide.OpenSlideError: the file belongs to a set that cannot be opened.
    """
    vendor = openslide.OpenSlide.detect_format(path)
    if vendor is None or not is_file_set(vendor, path):
        return file_fingerprint(path)
    with openslide.OpenSlide(path) as opened:
        return slide_fingerprint(path, opened)


def slide_fingerprint(path: Path, opened: openslide.OpenSlide) -> str:
    """As `fingerprint`, for a slide that is open already."""
    properties = opened.properties
    vendor = properties[openslide.PROPERTY_NAME_VENDOR]
    quickhash = properties.get(openslide.PROPERTY_NAME_QUICKHASH1)
    # OpenSlide leaves the quick hash out when it would be too costly.
    if quickhash is None or not is_file_set(vendor, path):
        return file_fingerprint(path)
    text = f"{vendor} {quickhash} {opened.level_dimensions}"
    return hashlib.sha256(_SET_TAG + text.encode()).hexdigest()


def is_file_set(vendor: str, path: Path) -> bool:
    """Whether the slide consists of several files, any of which may name it.

    Their identity rests on OpenSlide's quick hash (of the metadata and the coarsest level), so that each file of the
    set gives the same one. It notices a replaced slide, but not every edit of pixels that keeps the metadata.
    """
    if vendor == "hamamatsu":
        # NDPI is a single TIFF; VMS and VMU are text files that name JPEGs.
        with path.open("rb") as file:
            return file.read(2) not in _TIFF_MAGIC
    return vendor in {"dicom", "mirax"}


def file_fingerprint(path: Path) -> str:
    """Hashes one file: SHA-256 over a tag, the size and the content.

    Up to 16 MiB all of the content counts. Of a larger file it is the first and the last MiB and 32 evenly spaced
    blocks of 64 KiB between them, in file order: 4 MiB whatever the size, where a slide of 5 GB over a network would
    take a minute. Formats keep their metadata at an end, and an edit that adds or re-encodes anything shifts the
    rest, so it is noticed. Two large files collide only if they have the same size and differ between samples alone,
    as after overwriting a few tiles in place.

    Returns:
        64 hex digits.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256(_FILE_TAG)
    with path.open("rb") as file:
        size = file.seek(0, 2)
        digest.update(size.to_bytes(8, "big"))
        if size <= _WHOLE_FILE_BYTES:
            spans = [(0, size)]
        else:
            room = size - 2 * _END_BYTES - _SAMPLE_BYTES
            inner = [(_END_BYTES + room * i // (_SAMPLES - 1), _SAMPLE_BYTES) for i in range(_SAMPLES)]
            spans = [(0, _END_BYTES), *inner, (size - _END_BYTES, _END_BYTES)]
        for start, length in spans:
            file.seek(start)
            digest.update(file.read(length))
    return digest.hexdigest()
