"""The record of a data set without what identifies, and a folder that holds nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from wsisam_server.annotations.formats.deidentifying import SLIDE
from wsisam_server.learning.dataset_export.errors import DatasetExportError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from wsisam_server.annotations.formats.deidentifying import Deidentifier

_KEPT: Final = ("store", "revision", "since", "classes", "ignored_classes")
"""Of where annotations were found: what names no place and nobody."""

_MARK: Final = "deidentified"


def deidentified(record: dict[str, Any], deidentifier: Deidentifier) -> dict[str, Any]:
    """`dataset.json` without names, paths and texts that quote them. The command's own output has those."""
    source = {key: value for key, value in record["source"].items() if key in _KEPT}
    for key, replacement in (("author", deidentifier.author), ("project", deidentifier.project)):
        if record["source"].get(key):
            source[key] = replacement(record["source"][key])
    notes = record["notes"]
    if notes:
        deidentifier.left_out["notes"] += len(notes)
    if record["options"]["case"] is not None:
        deidentifier.left_out["the pattern for cases"] += 1
    return {
        **record,
        _MARK: {"salt": deidentifier.salt_id, "replaced": deidentifier.replaced},
        "source": source,
        "options": {**record["options"], "case": None},
        # By name alone: of a slide that is not here, nobody knows more.
        "missing_slides": len(record["missing_slides"]),
        "duplicate_images": len(record["duplicate_images"]),
        "notes": [],
    }


def refuse_telling_folder(out: Path, folders: Iterable[str], record: str) -> None:
    """Refuses a folder with a data set that was made with names: its files would go along.

    Raises:
        DatasetExportError: it holds such files.
    """
    telling = [
        path.relative_to(out).as_posix()
        for folder in folders
        for path in sorted((out / folder).glob("*"))
        if not SLIDE.fullmatch(path.name)
    ]
    try:
        if _MARK not in json.loads((out / record).read_text(encoding="utf-8")):
            telling.insert(0, record)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except ValueError:
        telling.insert(0, record)
    if telling:
        raise DatasetExportError(
            f"{out} holds a data set with the names of slides ({telling[0]}), which would leave with this one: name "
            "an empty folder"
        )
