"""What a person wants of a sync."""

from __future__ import annotations

from dataclasses import dataclass, field

from wsisam_server.annotations.sync.plan import Direction, Resolution


@dataclass(frozen=True, slots=True)
class Options:
    """What a person wants of a sync.

    Attributes:
        direction: which side may be changed.
        dry_run: plan only, change nothing.
        images: a pattern with * and ? for the names of images.
        path_class: only annotations that have this class on either side.
        resolution: how conflicts are settled.
        persist_ids: objects of old data files, which have no ids, may be given some, by saving the file anew.
        even_if_open: images are written even if a running QuPath seems to show them.
    """

    direction: Direction = Direction.BOTH
    dry_run: bool = False
    images: str = "*"
    path_class: str | None = None
    resolution: Resolution = field(default_factory=Resolution)
    persist_ids: bool = False
    even_if_open: bool = False
