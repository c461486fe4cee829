"""Admission of prompts: each user's quotas, and draining when the server stops."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.identity import Role, current_user
from wsisam_server.service.sessions.quota import FailureLimiter, PromptQuota

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsisam_server.core.settings import Limits
    from wsisam_server.service.identity import RateLimiter


class Stream(Protocol):
    """What is asked of an open stream from outside."""

    @property
    def slide_id(self) -> str:
        """The slide that it is about."""
        ...

    def drain(self) -> None:
        """Takes no more prompts, and ends when those that it has are answered."""
        ...

    def hand_back(self) -> None:
        """Answers those that still wait with SHUTTING_DOWN."""
        ...

    def slide_closed(self) -> None:
        """Answers those that still wait with UNKNOWN_SLIDE_ID, and ends with it."""
        ...


class SessionIds:
    """The session ids of the live streams."""

    def __init__(self) -> None:
        self._live: set[str] = set()

    def claim(self, session_id: str) -> None:
        """Marks an id as in use.

        Raises:
            WsiSamServerError: SESSION_IN_USE.
        """
        if session_id in self._live:
            raise WsiSamServerError(Reason.SESSION_IN_USE, session_id=session_id)
        self._live.add(session_id)

    def release(self, session_id: str) -> None:
        """Frees an id when its stream has ended."""
        self._live.discard(session_id)


class Admission:
    """Admits prompts. Used from one event loop.

    Args:
        rate_limiter: limits how often one user may send.
        limits: how much one user may have waiting.

    Attributes:
        rate_limiter: limits how often one user may send.
        quota: prompts that each user has waiting, in all streams and calls together.
        failures: limits the rate of each user's failures.
    """

    def __init__(self, rate_limiter: RateLimiter, limits: Limits) -> None:
        self.rate_limiter = rate_limiter
        self.quota = PromptQuota(limits.queued_prompts_per_user)
        self.failures = FailureLimiter()
        self._session_ids = SessionIds()
        self._streams: set[Stream] = set()
        self._draining = False

    def check_open(self) -> None:
        """Passes while the next piece of work may begin.

        Raises:
            WsiSamServerError: SHUTTING_DOWN after `drain`.
        """
        if self._draining:
            raise WsiSamServerError(Reason.SHUTTING_DOWN)

    def check_pixels(self) -> None:
        """Passes a caller who may push pixels. These are for outlines, and their memory is for people who make some.

        Raises:
            WsiSamServerError: ROLE_NOT_ALLOWED.
        """
        if current_user().role is Role.READER:
            raise WsiSamServerError(Reason.ROLE_NOT_ALLOWED, role=Role.READER.value, method="OpenSlide with pixels")

    @contextmanager
    def session(self, session_id: str) -> Iterator[None]:
        """Holds a session's id while its stream is open.

        Raises:
            WsiSamServerError: SESSION_IN_USE.
        """
        self._session_ids.claim(session_id)
        try:
            yield
        finally:
            self._session_ids.release(session_id)

    @contextmanager
    def streaming(self, stream: Stream) -> Iterator[None]:
        """Has a stream end with the server while it is open."""
        self._streams.add(stream)
        if self._draining:  # it was admitted before, and began only now
            stream.drain()
        try:
            yield
        finally:
            self._streams.discard(stream)

    def drain(self) -> None:
        """Takes no more prompts. Streams end with SHUTTING_DOWN when what they have begun is answered."""
        self._draining = True
        for stream in self._streams:
            stream.drain()

    def slide_closed(self, slide_id: str) -> None:
        """Ends the streams on a slide that was closed."""
        for stream in self._streams:
            if stream.slide_id == slide_id:
                stream.slide_closed()

    def hand_back(self) -> None:
        """Answers the prompts of streams that still wait with SHUTTING_DOWN; after `drain`."""
        for stream in self._streams:
            stream.hand_back()
