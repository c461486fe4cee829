"""A fair queue: by priority, and within one priority the principal who was served longest ago is first."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from wsisam_server.inference.scheduler.engine import Priority

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

Payload = TypeVar("Payload")

MOST_SERVED: Final = 10_000
"""Served entries that are remembered."""


class QueueEntry(NamedTuple):
    """An entry of a queue: its priority, and the principal whose share it uses."""

    priority: Priority
    principal: str


@dataclass(eq=False)  # without slots, so that it can be referred to weakly
class WorkItem:
    """One piece of work. It has several entries when several principals want the same result.

    Attributes:
        entries: the first to be served counts; the others are then void.
        finishes: whether it is the last step of something, which then goes before what else waits under its entries: a
            batch's first answers come when their windows are encoded, not when all are.
    """

    entries: list[QueueEntry] = field(default_factory=list)
    finishes: bool = False


class _Line:
    """What waits under one entry, with its number of arrival: last steps, and others."""

    __slots__ = ("_others", "_steps")

    def __init__(self) -> None:
        self._steps: OrderedDict[WorkItem, int] = OrderedDict()
        self._others: OrderedDict[WorkItem, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._steps) + len(self._others)

    def add(self, work_item: WorkItem, arrival: int) -> None:
        """Adds it, unless it waits already."""
        self._of(work_item).setdefault(work_item, arrival)

    def remove(self, work_item: WorkItem) -> None:
        """Removes it."""
        del self._of(work_item)[work_item]

    def first(self) -> tuple[WorkItem, int]:
        """What is served next."""
        return next(iter((self._steps or self._others).items()))

    def _of(self, work_item: WorkItem) -> OrderedDict[WorkItem, int]:
        return self._steps if work_item.finishes else self._others


class FairQueue(Generic[Payload]):
    """Payloads by priority. Within one, principals take turns, and one principal's are first in, first out.

    Of one principal, last steps (`WorkItem.finishes`) go before others. The principal who was served longest ago is
    next. So one who was idle waits only for the running step, however much the others have queued. Used from one event
    loop; `depth` from anywhere.
    """

    def __init__(self) -> None:
        self._lines: dict[QueueEntry, _Line] = {}
        self._payloads: dict[WorkItem, Payload] = {}
        self._arrivals = itertools.count()
        self._turns = itertools.count(1)
        self._served: dict[QueueEntry, int] = {}

    def __len__(self) -> int:
        """Payloads that wait."""
        return len(self._payloads)

    def put(self, work_item: WorkItem, payload: Payload) -> None:
        """Queues a payload under each entry of its work item, which holds one payload at a time."""
        self._payloads[work_item] = payload
        for entry in work_item.entries:
            self._line_up(entry, work_item)

    def join(self, work_item: WorkItem, entry: QueueEntry) -> None:
        """Adds an entry of a work item, whose payload may wait here or not."""
        if work_item in self._payloads:
            self._line_up(entry, work_item)

    def next(self, without: Collection[str] = ()) -> QueueEntry | None:
        """The entry that is served next; None when nothing waits.

        Args:
            without: principals who are passed over.
        """
        return min((entry for entry in self._lines if entry.principal not in without), key=self._rank, default=None)

    def take(self, without: Collection[str] = ()) -> Payload | None:
        """Removes and returns the payload that is served next; None when none waits.

        Args:
            without: principals who are passed over.
        """
        entry = self.next(without)
        if entry is None:
            return None
        if len(self._served) > MOST_SERVED:
            # Without tokens, each connection is a principal. Those served longest ago are next either way.
            latest = sorted(self._served, key=self._served.__getitem__)[-MOST_SERVED // 2 :]
            self._served = {known: self._served[known] for known in latest}
        self._served[entry] = next(self._turns)
        return self._remove(self._lines[entry].first()[0])

    def discard(self, work_item: WorkItem, payload: Payload) -> None:
        """Removes a payload, if it waits, without counting as service for anybody."""
        if self._payloads.get(work_item) is payload:
            self._remove(work_item)

    def drain(self) -> Iterator[Payload]:
        """Removes and yields everything."""
        for work_item in list(self._payloads):
            yield self._remove(work_item)

    def depth(self) -> dict[Priority, int]:
        """How many payloads wait, by the most urgent of their entries."""
        depths = dict.fromkeys(Priority, 0)
        for work_item in list(self._payloads):
            depths[min(entry.priority for entry in work_item.entries)] += 1
        return depths

    def _remove(self, work_item: WorkItem) -> Payload:
        for entry in work_item.entries:
            line = self._lines[entry]
            line.remove(work_item)
            if not line:
                del self._lines[entry]
        return self._payloads.pop(work_item)

    def _line_up(self, entry: QueueEntry, work_item: WorkItem) -> None:
        self._lines.setdefault(entry, _Line()).add(work_item, next(self._arrivals))

    def _rank(self, entry: QueueEntry) -> tuple[Priority, int, int]:
        return entry.priority, self._served.get(entry, 0), self._lines[entry].first()[1]
