"""A byte-bounded cache in memory, with single flight."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable


class SizedValue(Protocol):
    """A value that knows how many bytes it holds; the number must not change while the value is cached."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        ...


Value = TypeVar("Value", bound=SizedValue)

BACKGROUND_SHARE: Final = 0.5
"""Share of the limit for background work (batches and prefetches). Without it, a batch over a slide would evict the
fields that annotators work in. It is no less, because a batch needs a few fields at once."""


@dataclass(slots=True)
class CacheCounters:
    """What the cache did since it was made. `computed` counts finished computations: encoder runs and disk hits."""

    hits: int = 0
    joined: int = 0
    computed: int = 0
    evicted: int = 0
    peak_bytes: int = 0


@dataclass(slots=True)
class _Flight(Generic[Value]):
    task: asyncio.Task[Value]
    background: bool
    waiters: int = 0


class EmbeddingCache(Generic[Value]):
    """Least recently used values within a byte limit, with single flight. Used from one event loop.

    Values of background work that hold `BACKGROUND_SHARE` of the limit are evicted for each other first. Below the
    limit they may use all free room.

    Args:
        limit_bytes: the cached values together never hold more than this. A value that alone is larger is returned
            to those who asked for it and not kept.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._background: dict[Hashable, int] = {}
        self._flights: dict[Hashable, _Flight[Value]] = {}
        self._bytes = 0
        self.counters = CacheCounters()

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._bytes

    @property
    def limit(self) -> int:
        """Bytes that may be held."""
        return self._limit

    def __contains__(self, key: Hashable) -> bool:
        """Whether the value is cached or being computed."""
        return key in self._values or key in self._flights

    async def get(
        self, key: Hashable, compute: Callable[[], Awaitable[Value]], *, background: bool = False
    ) -> tuple[Value, bool]:
        """The value for a key, and whether this call had to wait for its computation.

        A value counts as background while all its callers said so.

        Callers that ask while it is being computed share the one computation. It is cancelled when the last of them
        is cancelled, and its error reaches them all and is not kept.
        """
        if key in self._values:
            self._values.move_to_end(key)
            if not background:
                self._background.pop(key, None)
            self.counters.hits += 1
            return self._values[key], False
        flight = self._flights.get(key)
        if flight is None:
            flight = _Flight(asyncio.ensure_future(self._compute(key, compute)), background)
            self._flights[key] = flight
        else:
            flight.background &= background
            self.counters.joined += 1
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task), True
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 and not flight.task.done():
                # Nobody wants it any more. A new asker must not join a computation that is about to be cancelled.
                if self._flights.get(key) is flight:
                    del self._flights[key]
                flight.task.cancel()

    def discard(self, key: Hashable) -> None:
        """Drops one cached value, if it is there. A computation in progress continues."""
        if key in self._values:
            self._remove(key)
            self.counters.evicted += 1

    def discard_where(self, belongs: Callable[[Hashable], bool]) -> None:
        """Drops the cached values of some keys. A computation in progress goes on for who waits; it is not kept."""
        for key in list(filter(belongs, self._values)):
            self.discard(key)
        for key in list(filter(belongs, self._flights)):
            del self._flights[key]

    def clear(self) -> None:
        """Drops all cached values; computations in progress go on."""
        self.counters.evicted += len(self._values)
        self._values.clear()
        self._background.clear()
        self._bytes = 0

    async def _compute(self, key: Hashable, compute: Callable[[], Awaitable[Value]]) -> Value:
        flight = self._flights[key]
        try:
            value = await compute()
            is_wanted = self._flights.get(key) is flight
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]
        self.counters.computed += 1
        if is_wanted:
            self._keep(key, value, background=flight.background)
        return value

    def _keep(self, key: Hashable, value: Value, *, background: bool) -> None:
        size = value.nbytes
        if size > self._limit:
            return
        if key in self._values:
            self._remove(key)
        while self._bytes + size > self._limit:
            have_share = sum(self._background.values()) + size > BACKGROUND_SHARE * self._limit
            among = self._background if background and have_share and self._background else self._values
            self._remove(next(each for each in self._values if each in among))
            self.counters.evicted += 1
        self._values[key] = value
        if background:
            self._background[key] = size
        self._bytes += size
        self.counters.peak_bytes = max(self.counters.peak_bytes, self._bytes)

    def _remove(self, key: Hashable) -> None:
        self._bytes -= self._values.pop(key).nbytes
        self._background.pop(key, None)
