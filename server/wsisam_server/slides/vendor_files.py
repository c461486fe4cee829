"""Files of scanners and microscopes that hold a picture beside the slide, or a part of it.

A `.mrxs` is a JPEG preview beside a folder of pixels, a `.vsi` a small TIFF beside another: opened as the image that
they also are, they would be a slide of their own, outlined and stored, and nobody would notice. So what has the name of
a slide format is a slide, or an error that says what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from pathlib import Path

_BY_OPENSLIDE: Final = {
    ".svs": "an Aperio slide",
    ".ndpi": "a Hamamatsu slide",
    ".scn": "a Leica slide",
    ".bif": "a Ventana slide",
    ".svslide": "a Sakura slide",
    ".czi": "a Zeiss slide",
    ".dcm": "a DICOM slide",
}
"""That OpenSlide reads where they are whole, and as they should be. Of these, a generic TIFF may be an `.svs`."""

_BY_QUPATH: Final = {
    ".afi": "Aperio fluorescence",
    ".ets": "Olympus",
    ".i2syntax": "Philips",
    ".isyntax": "Philips",
    ".jpx": "JPX",
    ".kfb": "KFBIO",
    ".lif": "Leica",
    ".lsm": "Zeiss",
    ".mdsx": "Motic",
    ".nd2": "Nikon",
    ".oib": "Olympus",
    ".oif": "Olympus",
    ".oir": "Olympus",
    ".sdpc": "Sqray",
    ".sld": "SlideBook",
    ".stk": "MetaMorph",
    ".tmap": "UNIC",
    ".vsi": "Olympus VSI",
    ".xlif": "Leica",
    ".zvi": "Zeiss",
}
"""That no reader here knows."""

_ALSO_GENERIC: Final = frozenset({".svs"})
_LONGEST_NAME: Final = 40
_OFFER: Final = "Open it in QuPath, which sends the pixels that it shows, where it can read the slide"


def refuse_half_a_slide(path: Path) -> None:
    """Refuses a file that OpenSlide does not know, or only as any tiled TIFF, and whose name is a slide format's.

    Raises:
        WsiSamServerError: SLIDE_UNREADABLE, with what is missing, or the way in which the format can be used.
    """
    suffix, stem = path.suffix.lower(), path.stem
    if suffix == ".mrxs":
        _refuse(
            path,
            f"the preview of a MIRAX slide: '{_short(stem)}/Slidedat.ini' is missing beside it, or is damaged",
            f"Copy the folder '{_short(stem)}' to the server too, whole, beside this file and under this name",
        )
    if suffix in {".vms", ".vmu"}:
        _refuse(
            path,
            f"a Hamamatsu {suffix[1:].upper()} slide, whose image files are missing beside it or are not understood",
            "Copy the whole folder of the slide to the server, with all files that this one names",
        )
    if suffix in _BY_OPENSLIDE and suffix not in _ALSO_GENERIC:
        _refuse(path, f"{_BY_OPENSLIDE[suffix]} that is damaged, incomplete or of a kind that is not supported", _OFFER)
    if suffix in _BY_QUPATH:
        _refuse(
            path,
            f"{_BY_QUPATH[suffix]} files ({suffix}) are not read by the server; their pixels can be sent to it",
            _OFFER,
        )


def refuse_plain_name(path: Path) -> None:
    """Refuses an image without tiles that has the name of a slide format, whatever is in it.

    Raises:
        WsiSamServerError: SLIDE_UNREADABLE.
    """
    refuse_half_a_slide(path)
    suffix = path.suffix.lower()
    if suffix in _ALSO_GENERIC:
        _refuse(path, f"{_BY_OPENSLIDE[suffix]} that is damaged, incomplete or of a kind that is not supported", _OFFER)


def _short(stem: str) -> str:
    return stem if len(stem) <= _LONGEST_NAME else f"{stem[: _LONGEST_NAME - 3]}..."


def _refuse(path: Path, problem: str, advice: str) -> None:
    raise WsiSamServerError(
        Reason.SLIDE_UNREADABLE, private="the name of a slide format", path=path, problem=problem, advice=advice
    )
