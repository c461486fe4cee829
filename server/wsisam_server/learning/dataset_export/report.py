"""The report of a dataset export, for people and for the record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class ExportReport:
    """What a data set holds.

    Attributes:
        manifest: its table.
        objects: by split.
        windows: by split.
        label_images: by split; more than windows where objects overlap.
        slides: by split; a slide that is divided counts in both.
        left_out: annotations that are not in it: reasons and counts.
        missing: slides that are not in it, by name, with the reason.
        duplicates: further images of a slide that is in it, by name, with the image that was used.
        notes: what else a user of the data set must know.
        reused: files that were there already.
        unnamed: files in its folders that the table does not name.
    """

    manifest: Path
    objects: Counter[str] = field(default_factory=Counter)
    windows: Counter[str] = field(default_factory=Counter)
    label_images: Counter[str] = field(default_factory=Counter)
    slides: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    missing: dict[str, str] = field(default_factory=dict)
    duplicates: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    reused: int = 0
    unnamed: int = 0

    def as_json(self) -> dict[str, Any]:
        """As plain values; without what differs between two ways to the same data set."""
        return {
            "objects": dict(self.objects),
            "windows": dict(self.windows),
            "label_images": dict(self.label_images),
            "slides": dict(self.slides),
            "left_out": dict(self.left_out),
            "missing_slides": self.missing,
            "duplicate_images": self.duplicates,
            "notes": self.notes,
        }
