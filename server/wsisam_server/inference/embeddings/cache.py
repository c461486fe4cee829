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

PASSING_SHARE: Final = 0.5
"""How much of the limit what only passes by may take from what people come back to: a batch over a slide, or guesses,
would otherwise push out the fields of all who look at theirs. No less, because a batch needs a few fields at once."""


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
    passing: bool
    waiters: int = 0


class EmbeddingCache(Generic[Value]):
    """Least recently used values within a byte limit, with single flight. Used from one event loop.

    Values that nobody is expected to come back to may pass by: once they hold `PASSING_SHARE` of the limit, they make
    room for each other and for nobody else's sake. Free room is theirs as it is everybody's.

    Args:
        limit_bytes: the cached values together never hold more than this. A value that alone is larger is returned
            to those who asked for it and not kept.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._passing: dict[Hashable, int] = {}
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
        self, key: Hashable, compute: Callable[[], Awaitable[Value]], *, passing: bool = False
    ) -> tuple[Value, bool]:
        """The value for a key, and whether this call had to wait for its computation.

        It passes by as long as all who asked for it said so.

        Callers that ask while it is being computed share the one computation. It is cancelled when the last of them
        is cancelled, and its error reaches them all and is not kept.
        """
        if key in self._values:
            self._values.move_to_end(key)
            if not passing:
                self._passing.pop(key, None)
            self.counters.hits += 1
            return self._values[key], False
        flight = self._flights.get(key)
        if flight is None:
            flight = _Flight(asyncio.ensure_future(self._compute(key, compute)), passing)
            self._flights[key] = flight
        else:
            flight.passing &= passing
            self.counters.joined += 1
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task), True
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 and not flight.task.done():
                # Nobody wants it any more. A new asker must not join a computation that is about to be cancelled.
                self._flights.pop(key, None)
                flight.task.cancel()

    def discard(self, key: Hashable) -> None:
        """Drops one cached value, if it is there; a computation in progress goes on."""
        if key in self._values:
            self._remove(key)
            self.counters.evicted += 1

    def clear(self) -> None:
        """Drops all cached values; computations in progress go on."""
        self.counters.evicted += len(self._values)
        self._values.clear()
        self._passing.clear()
        self._bytes = 0

    async def _compute(self, key: Hashable, compute: Callable[[], Awaitable[Value]]) -> Value:
        flight = self._flights[key]
        try:
            value = await compute()
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]
        self.counters.computed += 1
        self._keep(key, value, passing=flight.passing)
        return value

    def _keep(self, key: Hashable, value: Value, *, passing: bool) -> None:
        size = value.nbytes
        if size > self._limit:
            return
        if key in self._values:
            self._remove(key)
        while self._bytes + size > self._limit:
            have_share = sum(self._passing.values()) + size > PASSING_SHARE * self._limit
            among = self._passing if passing and have_share and self._passing else self._values
            self._remove(next(each for each in self._values if each in among))
            self.counters.evicted += 1
        self._values[key] = value
        if passing:
            self._passing[key] = size
        self._bytes += size
        self.counters.peak_bytes = max(self.counters.peak_bytes, self._bytes)

    def _remove(self, key: Hashable) -> None:
        self._bytes -= self._values.pop(key).nbytes
        self._passing.pop(key, None)
