"""Chained futures, so that no thread waits for what runs on another one."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING, Any, TypeVar

from wsisam_server.core.errors import WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Result = TypeVar("Result")
Next = TypeVar("Next")


def done(result: Result) -> Future[Result]:
    """A future that has its result."""
    future: Future[Result] = Future()
    future.set_result(result)
    return future


def failed(error: Exception) -> Future[Any]:
    """A future that has its error."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def then(first: Future[Result], follow: Callable[[Result], Future[Next]]) -> Future[Next]:
    """What follows from a result; the error of either. Cancelled, it cancels what has not begun."""
    outer: Future[Next] = Future()

    def followed(ended: Future[Result]) -> None:
        if outer.cancelled() or ended.cancelled():
            return
        try:
            second = follow(ended.result())
        except BaseException as error:  # noqa: BLE001 - passed on to the outer future
            _fail(outer, error)
            return
        _cancel_with(outer, second)
        second.add_done_callback(lambda last: _settle(outer, last))

    _cancel_with(outer, first)
    first.add_done_callback(followed)
    return outer


def first_of(
    attempts: Iterator[Callable[[], Future[Result]]], accept: Callable[[Result], bool], failure: Callable[[], Exception]
) -> Future[Result]:
    """The first accepted result of attempts that are made one after the other.

    Args:
        attempts: begin them; an error of the catalogue may be noted by them, and the next one is made.
        accept: whether a result is accepted.
        failure: the error when none did.
    """
    attempt = next(attempts, None)
    if attempt is None:
        return failed(failure())
    return then(attempt(), lambda result: done(result) if accept(result) else first_of(attempts, accept, failure))


def caught(first: Future[Result], noted: Callable[[WsiSamServerError], None]) -> Future[Result | None]:
    """A future whose result is None in place of an error of the catalogue; `noted` gets that, and may re-raise it."""
    outer: Future[Result | None] = Future()

    def ended(last: Future[Result]) -> None:
        if outer.cancelled() or last.cancelled():
            return
        try:
            result: Result | None = None
            try:
                result = last.result()
            except WsiSamServerError as error:
                noted(error)
        except BaseException as error:  # noqa: BLE001 - passed on to the outer future
            _fail(outer, error)
        else:
            with contextlib.suppress(InvalidStateError):
                outer.set_result(result)

    _cancel_with(outer, first)
    first.add_done_callback(ended)
    return outer


def _cancel_with(outer: Future[Next], inner: Future[Result]) -> None:
    outer.add_done_callback(lambda ended: inner.cancel() if ended.cancelled() else None)


def _settle(outer: Future[Result], inner: Future[Result]) -> None:
    if inner.cancelled():
        outer.cancel()
        return
    error = inner.exception()
    if error is not None:
        _fail(outer, error)
        return
    with contextlib.suppress(InvalidStateError):
        outer.set_result(inner.result())


def _fail(outer: Future[Result], error: BaseException) -> None:
    with contextlib.suppress(InvalidStateError):
        outer.set_exception(error)
