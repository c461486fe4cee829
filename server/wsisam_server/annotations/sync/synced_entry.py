"""Which image of a project stands for a slide that several of its images show."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wsisam_server.annotations.sync.model import Image
    from wsisam_server.annotations.sync.record import Records


def synced_entry(
    image: Image, slide_id: str, images: Sequence[Image], records: Records, slide_of: Callable[[Image], str | None]
) -> Image:
    """Which image is synced for a slide: the same one whatever is chosen, and in every sync.

    It is the one that was synced before, as long as the project has it; else the first in the project.

    Args:
        image: one that shows the slide.
        slide_id: the slide's.
        images: all of the project, in its order.
        records: of the project.
        slide_of: the slide that another image shows; None where that is not known.
    """
    before = records.entry(slide_id)
    if before is not None:
        for other in images:
            if (other.id, other.uris) == (before.image, before.uris) and not other.view and not other.problem:
                return other
    for other in images:
        if other.id == image.id:
            break
        # Images of other size are of other slides: their files need not be looked into.
        if not other.problem and not other.view and not _differ(other, image) and slide_of(other) == slide_id:
            return other
    return image


def _differ(first: Image, second: Image) -> bool:
    """Whether two images are known to be of different size."""
    return None not in {first.size, second.size} and first.size != second.size
