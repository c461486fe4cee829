"""File system calls, each on a thread of its own: a drive that hangs delays its own slides and nothing else.

A thread that waits for a network drive cannot be ended. So each call has its own thread, and callers wait for a
future. The future ends before the thread does if the drive takes too long. Each root has its own bounds, so that one
that hangs does not take the threads of the others.
"""

from __future__ import annotations

import contextlib
import contextvars
import itertools
import logging
import threading
import time
from collections import Counter, OrderedDict, deque
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.thread_priority import lower_priority, processor_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class CallKind(Enum):
    """What a call asks of a file system."""

    LOOK = "look"
    """Whether a file is there, and unchanged: milliseconds. One that takes long shows that the drive hangs."""

    OPEN = "open"
    """A slide's metadata, a fingerprint, a whole plain image: seconds."""

    READ = "read"
    """Pixels. The callers have bounds of their own."""


_RUNNING: Final = {CallKind.LOOK: 16, CallKind.OPEN: 8, CallKind.READ: 64}
"""Calls of one root that run at once."""

_RUNNING_PER_USER: Final = {CallKind.LOOK: 4, CallKind.OPEN: 2, CallKind.READ: 64}
"""Of them those of one user; without tokens, callers have no name and cannot be distinguished."""

_WAITING_PER_USER: Final = 256
"""Calls of one user and root that wait; more are refused."""

_LONG_SECONDS: Final = 0.05
"""Seconds of processor time after which a call's thread gets a lower priority: a click's read takes less."""

_ABANDONED: Final = 64
"""Abandoned threads of one root. At this limit it gets no further call until one of them ends."""

_TIMEOUT_FACTOR: Final = 24
"""Timeout of a call whose drive answers other calls meanwhile, in timeouts of a drive."""


@dataclass(slots=True, eq=False)
class _Call:
    run: Callable[[], Any]
    context: contextvars.Context
    kind: CallKind
    principal: str
    future: Future[Any] = field(default_factory=Future)
    began: float = 0.0
    abandoned: bool = False
    thread: threading.Thread | None = None
    is_lowered: bool = False


class _Drive:
    """The calls of one root. All is guarded by the lock of `Drives`."""

    def __init__(self, root: Hashable) -> None:
        self.root = root
        self.running: set[_Call] = set()
        self.abandoned = 0
        self.waiting: dict[CallKind, OrderedDict[str, deque[_Call]]] = {kind: OrderedDict() for kind in CallKind}
        self.hangs = False
        self.probing: float | None = None
        self.answered = 0.0

    def take(self) -> _Call | None:
        """The next call that may run: by kind, and within one the users in turn."""
        counts = Counter((call.kind, call.principal) for call in self.running)
        totals = Counter(call.kind for call in self.running)
        for kind, principals in self.waiting.items():
            if totals[kind] >= _RUNNING[kind]:
                continue
            for principal in list(principals):
                if principal and counts[kind, principal] >= _RUNNING_PER_USER[kind]:
                    continue
                calls = principals.pop(principal)
                call = calls.popleft()
                if calls:
                    principals[principal] = calls  # to the end: others come first now
                return call
        return None

    def give_up(self, calls: Iterable[_Call]) -> list[_Call]:
        """Abandons the threads of running calls. The caller ends their futures."""
        left = list(calls)
        for call in left:
            call.abandoned = True
            self.running.discard(call)
        self.abandoned += len(left)
        return left

    def drain(self) -> list[_Call]:
        """Removes and returns all waiting calls."""
        calls = [call for principals in self.waiting.values() for some in principals.values() for call in some]
        for principals in self.waiting.values():
            principals.clear()
        return calls


class Drives:
    """Runs file system calls, bounded by root and user.

    Args:
        seconds: timeout of a drive. After it, its calls fail at once with SLIDE_UNAVAILABLE, until it answers a probe.
        probe: accesses a root to see whether it answers. It blocks, and may raise anything.
    """

    def __init__(self, seconds: float, probe: Callable[[Hashable], object]) -> None:
        self._seconds = seconds
        self._probe = probe
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._drives: dict[Hashable, _Drive] = {}
        self._watching = False
        self._closed = False
        self._numbers = itertools.count(1)

    def submit(self, root: Hashable, kind: CallKind, run: Callable[[], Result], principal: str = "") -> Future[Result]:
        """Has a call run on a thread of its own, when its turn comes. Does not block.

        Args:
            root: the drive that it asks.
            kind: how long it may take.
            run: blocks; does not run when the future is cancelled before its turn.
            principal: whose share of the queues it uses.

        Returns:
            Its result or error; SLIDE_UNAVAILABLE where the drive does not answer, SHUTTING_DOWN after `close`.
        """
        call = _Call(run, contextvars.copy_context(), kind, principal)
        with self._lock:
            drive = self._drives.setdefault(root, _Drive(root))
            waiting = drive.waiting[kind].get(principal, ())
            if self._closed:
                refused = WsiSamServerError(Reason.SHUTTING_DOWN)
            elif drive.hangs or drive.abandoned >= _ABANDONED or len(waiting) >= _WAITING_PER_USER:
                refused = self._unavailable("it hangs, or too much waits for it")
            else:
                drive.waiting[kind].setdefault(principal, deque()).append(call)
                self._begin(drive)
                return call.future
        call.future.set_exception(refused)
        return call.future

    def run(self, root: Hashable, kind: CallKind, call: Callable[[], Result], principal: str = "") -> Result:
        """As `submit`, and waits."""
        return self.submit(root, kind, call, principal).result()

    def mark(self, root: Hashable) -> None:
        """Takes note that a root did not answer when something else asked it: it is refused until it does."""
        with self._lock:
            self._hangs(self._drives.setdefault(root, _Drive(root)))

    def hanging(self) -> set[Hashable]:
        """The roots that do not answer now."""
        with self._lock:
            return {drive.root for drive in self._drives.values() if drive.hangs}

    def close(self) -> None:
        """Ends all calls with SHUTTING_DOWN, those that run, too; their threads are left to themselves."""
        with self._lock:
            self._closed = True
            calls = [
                call for drive in self._drives.values() for call in (*drive.give_up(drive.running), *drive.drain())
            ]
            self._changed.notify_all()
        _fail(calls, lambda: WsiSamServerError(Reason.SHUTTING_DOWN))

    def _begin(self, drive: _Drive) -> None:
        """Starts what may run. Call it with the lock."""
        while (call := drive.take()) is not None:
            if not call.future.set_running_or_notify_cancel():
                continue
            call.began = time.monotonic()
            drive.running.add(call)
            name = f"wsisam-drive-{next(self._numbers)}"
            try:
                threading.Thread(target=self._work, args=(drive, call), name=name, daemon=True).start()
            except RuntimeError as error:
                drive.running.discard(call)
                call.future.set_exception(WsiSamServerError(Reason.OUT_OF_MEMORY, private=repr(error)))
        if drive.running and not self._watching:
            with contextlib.suppress(RuntimeError):  # out of threads: with the next call
                threading.Thread(target=self._watch, name="wsisam-drives", daemon=True).start()
                self._watching = True

    def _work(self, drive: _Drive, call: _Call) -> None:
        result, error = None, None
        call.thread = threading.current_thread()
        try:
            result = call.context.run(call.run)
        except BaseException as raised:  # noqa: BLE001 - it is the caller's
            error = raised
        with self._lock:
            drive.answered = time.monotonic()
            if call.abandoned:
                drive.abandoned -= 1
                return
            drive.running.discard(call)
            if call.is_lowered:
                # Threads that it starts would inherit the priority.
                self._changed.notify_all()
            elif not self._closed:
                self._begin(drive)
        if error is not None:
            call.future.set_exception(error)
        else:
            call.future.set_result(result)

    def _watch(self) -> None:
        """Looks for calls that take long, and for those that take too long, as long as any run."""
        while True:
            with self._lock:
                self._changed.wait(min(self._seconds / 8, _LONG_SECONDS))
                if not self._closed:
                    for drive in self._drives.values():
                        self._begin(drive)
                if self._closed or not any(drive.running for drive in self._drives.values()):
                    self._watching = False
                    return
                self._lower()
                late = [call for drive in self._drives.values() for call in self._late(drive)]
            _fail(late, lambda: self._unavailable(f"no answer within {self._seconds:g} s"))

    def _lower(self) -> None:
        """Lowers the priority of long calls' threads. Call it with the lock: none of them ends meanwhile."""
        for drive in self._drives.values():
            for call in drive.running:
                if call.thread is not None and not call.is_lowered and processor_seconds(call.thread) > _LONG_SECONDS:
                    lower_priority(call.thread)
                    call.is_lowered = True

    def _late(self, drive: _Drive) -> list[_Call]:
        """The calls to give up. Call it with the lock."""
        now = time.monotonic()
        if not any(now - call.began > self._seconds / 2 for call in drive.running):
            return []
        if now - drive.answered > self._seconds / 2:
            self._ask(drive)
        overdue = [call for call in drive.running if now - call.began > self._seconds]
        if not overdue:
            return []
        hopeless = [call for call in overdue if now - call.began > _TIMEOUT_FACTOR * self._seconds]
        look = next((call for call in overdue if call.kind is CallKind.LOOK), None)
        silent = drive.probing is not None and now - drive.probing > self._seconds / 2
        if look is not None or silent:
            self._hangs(drive, None if look is None else look.run)
            hopeless = [*drive.running]
            given_up = [*hopeless, *drive.drain()]
        else:
            given_up = hopeless
        drive.give_up(hopeless)
        return given_up

    def _hangs(self, drive: _Drive, unanswered: Callable[[], object] | None = None) -> None:
        """Marks a drive until it answers. Call it with the lock."""
        drive.hangs = True
        self._ask(drive, unanswered)
        path = str(drive.root)
        _log.warning(
            "the drive of %s does not answer; its slides are unavailable until it does", path, extra={"path": path}
        )

    def _ask(self, drive: _Drive, unanswered: Callable[[], object] | None = None) -> None:
        """Begins a probe, and asks once more what was not answered, if anything. Call it with the lock.

        One that is under way goes on: it has not been answered either.
        """
        if drive.probing is None:
            work = threading.Thread(
                target=self._asking, args=(drive, unanswered), name="wsisam-drive-probe", daemon=True
            )
            with contextlib.suppress(RuntimeError):  # out of threads: at the next look
                work.start()
                drive.probing = time.monotonic()

    def _asking(self, drive: _Drive, unanswered: Callable[[], object] | None) -> None:
        try:
            self._probe(drive.root)
            if unanswered is not None:
                unanswered()
        except Exception as error:  # noqa: BLE001 - an error is an answer
            _log.debug("a drive's probe: %r", error)
        with self._lock:
            drive.probing = None
            drive.answered = time.monotonic()
            if drive.hangs:
                drive.hangs = False
                path = str(drive.root)
                _log.warning("the drive of %s answers again", path, extra={"path": path})

    def _unavailable(self, why: str) -> WsiSamServerError:
        return WsiSamServerError(Reason.SLIDE_UNAVAILABLE, private=why, seconds=f"{self._seconds:g}")


def _fail(calls: Iterable[_Call], error: Callable[[], WsiSamServerError]) -> None:
    for call in calls:
        with contextlib.suppress(InvalidStateError):  # its caller gave up
            call.future.set_exception(error())  # each its own: callers add to it where it came about
