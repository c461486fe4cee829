"""Whose turn it is: by priority, and within one by who was served longest ago."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from wsisam_server.inference.scheduler.engine import Priority

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

Item = TypeVar("Item")

MOST_SERVED: Final = 10_000
"""Turns that are remembered."""


class Claim(NamedTuple):
    """A place in the queue: how urgent, and whose turn it uses."""

    priority: Priority
    owner: str


@dataclass(eq=False)  # without slots, so that it can be referred to weakly
class Ticket:
    """What one piece of work waits with. It has several claims when several owners want the same result.

    Attributes:
        claims: the first whose turn comes counts; the others are then void.
    """

    claims: list[Claim] = field(default_factory=list)


class FairQueue(Generic[Item]):
    """Items by priority; within one, owners take turns, and one owner's items are first come first served.

    The owner whose last turn was longest ago is next, so that one who was idle waits for no step but the running one,
    however much the others have queued. Used from one event loop; `depth` from anywhere.
    """

    def __init__(self) -> None:
        self._lines: dict[Claim, OrderedDict[Ticket, int]] = {}
        self._items: dict[Ticket, Item] = {}
        self._arrivals = itertools.count()
        self._turns = itertools.count(1)
        self._served: dict[Claim, int] = {}

    def __len__(self) -> int:
        """Items that wait."""
        return len(self._items)

    def put(self, ticket: Ticket, item: Item) -> None:
        """Queues an item at each of its ticket's claims. A ticket holds one item at a time."""
        self._items[ticket] = item
        for claim in ticket.claims:
            self._line_up(claim, ticket)

    def join(self, ticket: Ticket, claim: Claim) -> None:
        """Takes note that a ticket has got one more claim; its item may wait here or not."""
        if ticket in self._items:
            self._line_up(claim, ticket)

    def next(self, without: Collection[str] = ()) -> Claim | None:
        """The claim whose turn it is; None when nothing waits.

        Args:
            without: owners who are passed over.
        """
        return min((claim for claim in self._lines if claim.owner not in without), key=self._rank, default=None)

    def take(self, without: Collection[str] = ()) -> Item | None:
        """The item whose turn it is, which then no longer waits; None when none does.

        Args:
            without: owners who are passed over.
        """
        claim = self.next(without)
        if claim is None:
            return None
        if len(self._served) > MOST_SERVED:
            # Without tokens, each connection is an owner. Those served longest ago are next either way.
            latest = sorted(self._served, key=self._served.__getitem__)[-MOST_SERVED // 2 :]
            self._served = {known: self._served[known] for known in latest}
        self._served[claim] = next(self._turns)
        return self._remove(next(iter(self._lines[claim])))

    def discard(self, ticket: Ticket, item: Item) -> None:
        """Takes an item out without anybody's turn being used, if it waits."""
        if self._items.get(ticket) is item:
            self._remove(ticket)

    def drain(self) -> Iterator[Item]:
        """Takes out everything."""
        for ticket in list(self._items):
            yield self._remove(ticket)

    def depth(self) -> dict[Priority, int]:
        """How many items wait, by the most urgent of their claims."""
        depths = dict.fromkeys(Priority, 0)
        for ticket in list(self._items):
            depths[min(claim.priority for claim in ticket.claims)] += 1
        return depths

    def _remove(self, ticket: Ticket) -> Item:
        for claim in ticket.claims:
            line = self._lines[claim]
            del line[ticket]
            if not line:
                del self._lines[claim]
        return self._items.pop(ticket)

    def _line_up(self, claim: Claim, ticket: Ticket) -> None:
        self._lines.setdefault(claim, OrderedDict()).setdefault(ticket, next(self._arrivals))

    def _rank(self, claim: Claim) -> tuple[Priority, int, int]:
        first = next(iter(self._lines[claim].values()))
        return claim.priority, self._served.get(claim, 0), first
