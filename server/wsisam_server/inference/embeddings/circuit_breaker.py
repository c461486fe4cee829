"""A circuit breaker for a disk that may hang, as a network drive does. Whatever it holds can be computed instead."""

from __future__ import annotations

import contextvars
import logging
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLateError  # Python 3.11's is the built-in one
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class CircuitBreaker:
    """Runs calls that access a folder, with a timeout. Each has a thread of its own, as it cannot be interrupted.

    A call that takes too long opens the circuit: no further call is made until that one ends, and the log says so once.
    So no more threads hang than had called by then. They end with the process. Safe from several threads.

    Args:
        folder: for the log.
        seconds: timeout of a call.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._lock = threading.Lock()
        self._late: set[Future[Any]] = set()

    def run(self, call: Callable[[], Result], otherwise: Result) -> Result:
        """The result of a call, or raises its error; `otherwise` while the circuit is open or after the timeout."""
        if self._late:
            return otherwise
        answer: Future[Result] = Future()
        context = contextvars.copy_context()

        def work() -> None:
            try:
                result = context.run(call)
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                answer.set_exception(error)
            else:
                answer.set_result(result)
            self._ended(answer)

        try:
            threading.Thread(target=work, name="wsisam-embeddings", daemon=True).start()
        except RuntimeError:  # the system gives no thread
            return otherwise
        try:
            return answer.result(self._seconds)
        except TooLateError:
            if answer.done():  # just now, or the call's own error
                return answer.result()
        self._hangs(answer)
        return otherwise

    def _hangs(self, answer: Future[Result]) -> None:
        with self._lock:
            if answer.done():
                return
            first = not self._late
            self._late.add(answer)
        if first:
            _log.warning(
                "the folder of embeddings %s did not answer within %g s; until it does, they are computed instead",
                self._folder,
                self._seconds,
            )

    def _ended(self, answer: Future[Result]) -> None:
        with self._lock:
            was_late = answer in self._late
            self._late.discard(answer)
            answers = was_late and not self._late
        if answers:
            _log.warning("the folder of embeddings %s answers again", self._folder)
