"""The entries of a project file, each read for itself: one that nobody can open does not hide the others.

QuPath's own reader takes a project as a whole. It refuses all of it for an entry of an extension that is not installed,
and lists an entry number that comes twice as two images of one data file.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from wsisam_server.annotations.sync.errors import SyncError
from wsisam_server.annotations.sync.model import Image
from wsisam_server.core.geometry import SlideSize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PLAIN: Final = "uri"
"""QuPath's builder of an image as its file has it."""

_VIEWS: Final = {
    "affine": "transformed",
    "channels": "with channels of several images",
    "color": "as other channels",
    "color_deconvolved": "as separate stains",
    "normalized": "with normalised stains",
    "pyramidize": "as a pyramid that it makes itself",
    "sparse": "sparse, put together from parts",
    "swapRedBlue": "with red and blue swapped",
    "typeConvert": "with other pixel values",
    "z_concatenated": "as a stack of several images",
    "z_projected": "projected along z",
}
"""What a person calls QuPath's other builders; the rest are plain words already ("rotated", "cropped")."""

_OTHER_NUMBER: Final = (
    "its number in the project ({number}) is also that of {others}. They share one data file, and nobody knows whose "
    "the objects in it are. In QuPath, remove all but one of them, and add the others anew"
)


def entries(path: Path) -> tuple[list[Image], dict[str, dict[str, Any] | None]]:
    """The images of a project, in its order.

    Args:
        path: the project file.

    Returns:
        The images, and by their numbers QuPath's builders as JSON (None where there is none).

    Raises:
        SyncError: the file is damaged or of an unknown kind.
    """
    listed = _listed(path)
    numbers = Counter(_number(said) for said in listed)
    images = []
    for said in listed:
        image = _image(said)
        if not image.id:
            image = replace(image, problem="it has no number in the project file, so it has no data file")
        elif numbers[image.id] > 1:
            others = [_name(other) for other in listed if other is not said and _number(other) == image.id]
            image = replace(image, problem=_OTHER_NUMBER.format(number=image.id, others=" and ".join(others)))
        images.append(image)
    return images, {_number(said): said.get("serverBuilder") for said in listed}


def _listed(path: Path) -> list[dict[str, Any]]:
    try:
        # QuPath reads a file that an editor has marked as UTF-8, too.
        said = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SyncError(f"the project file {path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise SyncError(_damaged(path, str(error))) from error
    listed = said.get("images", []) if isinstance(said, dict) else None
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise SyncError(_damaged(path, "it has no list of images"))
    return listed


def _damaged(path: Path, why: str) -> str:
    backup = path.with_name(f"{path.name}.backup")
    advice = (
        f"QuPath keeps the one before it beside it: copy {backup.name} over {path.name}. What was added to the project "
        "since is not in it"
        if backup.is_file()
        else "QuPath's own backup of it (its name with .backup after it) is not beside it: take one of your own"
    )
    return f"the project file {path} is damaged ({why}). The data files of its images are not concerned. {advice}"


def _number(entry: dict[str, Any]) -> str:
    number = entry.get("entryID")
    return "" if number is None or isinstance(number, bool) else str(number)


def _name(entry: dict[str, Any]) -> str:
    return str(entry.get("imageName") or _number(entry))


def _image(entry: dict[str, Any]) -> Image:
    builder = entry.get("serverBuilder")
    builder = builder if isinstance(builder, dict) else {}
    return Image(
        id=_number(entry),
        name=_name(entry),
        uris=tuple(dict.fromkeys(_uris(builder))),
        size=_size(builder.get("metadata")),
        view=_view(builder),
    )


def _size(metadata: Any) -> SlideSize | None:
    width, height = (metadata.get("width"), metadata.get("height")) if isinstance(metadata, dict) else (None, None)
    if not isinstance(width, int) or not isinstance(height, int) or width < 1 or height < 1:
        return None
    return SlideSize(width, height)


def _view(builder: dict[str, Any]) -> str:
    """What the project makes of the image's file; empty when nothing."""
    kind = builder.get("builderType")
    if kind is None:
        return ""
    if kind != _PLAIN:
        return _VIEWS.get(str(kind), str(kind))
    arguments = builder.get("args")
    if isinstance(arguments, list) and "--series" in arguments[:-1]:
        series = arguments[arguments.index("--series") + 1]
        return "" if str(series) == "0" else f"series {series}"
    return ""


def _uris(builder: Any) -> Iterator[str]:
    """The files below a builder, also of one that is put together from others."""
    if isinstance(builder, list):
        for one in builder:
            yield from _uris(one)
    elif isinstance(builder, dict):
        uri = builder.get("uri")
        if isinstance(uri, str):
            yield uri
        for key, one in builder.items():
            if key != "metadata":
                yield from _uris(one)
