"""Many things in batches that are bounded by count and by weight. It must never know what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")


def batched(
    items: Iterable[Item], weight: Callable[[Item], int], *, max_count: int, max_weight: int
) -> Iterator[list[Item]]:
    """All items, in their order, in batches that are as large as the bounds allow.

    Args:
        items: any number of them.
        weight: of an item, asked once.
        max_count: items of a batch, at least 1.
        max_weight: of a batch. An item that is heavier has a batch of its own.
    """
    batch: list[Item] = []
    total = 0
    for item in items:
        more = weight(item)
        if batch and (len(batch) == max_count or total + more > max_weight):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += more
    if batch:
        yield batch
