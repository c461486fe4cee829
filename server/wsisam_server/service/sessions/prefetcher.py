"""Prefetch: fields are encoded before the clicks that need them."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from wsisam_server.core.geometry import FieldPair

_log = logging.getLogger(__name__)


REMEMBERED: Final = 32
"""Fields that a later click may still use; by then the cache may have let them go, and they are encoded again."""


QUIET_SECONDS: Final = 2.0
"""That no prompt must have come before the next field begins. Who corrects an outline would wait for its step, which
cannot be interrupted; on a CPU that is most of a second."""


class Prefetcher:
    """Has fields encoded one after the other, until the annotator looks elsewhere. Used from one event loop.

    Args:
        prefetch: has a field encoded; cancelled when it is no longer wanted.
    """

    def __init__(self, prefetch: Callable[[FieldPair], Awaitable[None]]) -> None:
        self._prefetch = prefetch
        self._wanted: Sequence[FieldPair] = ()
        self._begun: OrderedDict[FieldPair, None] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._prompted = -math.inf

    @property
    def begun(self) -> Collection[FieldPair]:
        """Fields that are encoded, or are next: a click in one of them waits no longer than in any other."""
        return self._begun.keys()

    def look(self, fields: Sequence[FieldPair]) -> None:
        """Replaces the fields that are likely needed now. Others are dropped unless they have begun."""
        if fields == self._wanted:
            return
        self._wanted = fields
        self._stop()
        if fields:
            self._task = asyncio.ensure_future(self._run(fields))

    def prompted(self) -> None:
        """Notes that the annotator is at work: nothing begins until they pause."""
        self._prompted = time.monotonic()

    async def close(self) -> None:
        """Drops what has not begun."""
        self._stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self, fields: Sequence[FieldPair]) -> None:
        for field in fields:
            # Until a time that each prompt puts off.
            while (early := self._prompted + QUIET_SECONDS - time.monotonic()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(early)
            self._begun[field] = None
            self._begun.move_to_end(field)
            if len(self._begun) > REMEMBERED:
                self._begun.popitem(last=False)
            try:
                await self._prefetch(field)
            except Exception as error:  # noqa: BLE001 - best effort; a prompt there gets the error
                self._begun.pop(field, None)
                _log.debug("a field was not encoded ahead: %s", error)
                return
            except asyncio.CancelledError:
                if field not in self._wanted:
                    self._begun.pop(field, None)
                raise
