"""Lets calls in by their token, and ends those whose token was revoked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import MIB
from wsisam_server.core.tls import is_loopback
from wsisam_server.service.identity import LOCAL, User, set_user
from wsisam_server.service.interceptors.rights import RIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wsisam_server.service.identity import Keyring, Pace

METADATA_KEY: Final = "authorization"

_SCHEME: Final = "bearer "
_POLL_SECONDS: Final = 0.5
_SECONDS_WITHOUT_TOKENS: Final = 5.0
"""How long calls go on whose token cannot be looked up, because the file is being replaced or looked through."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Visit:
    """One call that was let in.

    Attributes:
        user: whose it is.
        method: its full name, "/package.Service/Method".
        stream: whether it is more than one message each way.
        ended_by: why it was ended from here; None while it was not.
    """

    user: User
    method: str
    stream: bool
    task: asyncio.Task[object] | None = None
    ended_by: WsiSamServerError | None = None


class Access:
    """Who is let in.

    Args:
        keyring: knows the tokens; None where no token is known.
        required: whether callers without a token are refused what is not for anyone.
        streams: how many one user may have open.
        pace: how fast one user may call.
        volume: how many MiB one user's messages may have in a second; None for any number.

    Callers without a token are told apart by where they call from (`caller_place`).
    """

    def __init__(
        self, keyring: Keyring | None, *, required: bool, streams: int, pace: Pace, volume: Pace | None = None
    ) -> None:
        self._keyring = keyring
        self._required = required
        self._streams = streams
        self._pace = pace
        self._volume = volume
        self._visits: set[Visit] = set()
        self._unknown_since: float | None = None

    def admit(
        self, method: str, metadata: Iterable[tuple[str, str | bytes]], *, stream: bool = False, peer: str = ""
    ) -> Visit:
        """Lets a call in.

        Args:
            method: its full name, "/package.Service/Method".
            metadata: with the token, or without.
            stream: whether it is more than one message each way.
            peer: where it comes from, as gRPC says it.

        Raises:
            WsiSamServerError: TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED, TOKENS_UNAVAILABLE or ROLE_NOT_ALLOWED;
                TOO_MANY_MESSAGES or TOO_MANY_STREAMS.
        """
        user = self.caller(method, metadata, peer)
        if user is None:
            return Visit(replace(LOCAL, peer=caller_place(peer)), method, stream)
        mine = user.principal
        self._pace.take(mine)
        if stream and sum(visit.stream and visit.user.principal == mine for visit in self._visits) >= self._streams:
            raise WsiSamServerError(Reason.TOO_MANY_STREAMS, limit=self._streams)
        return Visit(user, method, stream)

    async def weigh(self, visit: Visit, nbytes: int) -> None:
        """Counts the bytes of a call's message, and returns when something may be made of them.

        Taking large ones off the wire costs the loop that answers everybody: whoever sends many waits for each.
        """
        if self._volume is not None:
            await self._volume.wait(visit.user.principal, nbytes / MIB)

    def caller(self, method: str, metadata: Iterable[tuple[str, str | bytes]], peer: str = "") -> User | None:
        """Who calls, if they may call this method; None where it is for anyone. The log knows them from now on.

        Raises:
            WsiSamServerError: TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED, TOKENS_UNAVAILABLE or ROLE_NOT_ALLOWED.
        """
        allowed = RIGHTS.get(method, frozenset())
        if None in allowed:
            return None
        user = self._user(metadata)
        if not user.name:
            user = replace(user, peer=caller_place(peer))
        set_user(user)
        if user.role not in allowed:
            raise WsiSamServerError(Reason.ROLE_NOT_ALLOWED, role=user.role.value, method=method.rsplit("/", 1)[-1])
        return user

    @contextmanager
    def visiting(self, visit: Visit) -> Iterator[None]:
        """Runs a call's body, which is cancelled when its token is revoked; `visit.ended_by` then says so."""
        visit.task = asyncio.current_task()
        self._visits.add(visit)
        try:
            yield
        finally:
            self._visits.discard(visit)

    def running(self) -> Counter[tuple[str, str]]:
        """How many calls run, by method and user's name. From any thread."""
        return Counter((visit.method, visit.user.name) for visit in list(self._visits))

    async def empty(self, prefix: str) -> None:
        """Returns when no call runs any more whose method begins with `prefix`, and all their clients were answered."""
        while tasks := [one.task for one in self._visits if one.task is not None and one.method.startswith(prefix)]:
            await asyncio.wait(tasks)

    def end_all(self, prefix: str, error: WsiSamServerError) -> None:
        """Ends all running calls whose method begins with `prefix`, with an error."""
        for visit in self._visits:
            if visit.method.startswith(prefix):
                _end(visit, error)

    async def watch(self) -> None:
        """Ends calls whose token is good no more, until it is cancelled."""
        while True:
            self._sweep()
            await asyncio.sleep(_POLL_SECONDS)

    def _user(self, metadata: Iterable[tuple[str, str | bytes]]) -> User:
        given = next((value for key, value in metadata if key == METADATA_KEY), None)
        if given is None:
            if self._required:
                raise WsiSamServerError(Reason.TOKEN_MISSING)
            return LOCAL
        text = given if isinstance(given, str) else ""
        if self._keyring is None or not text.lower().startswith(_SCHEME):
            raise WsiSamServerError(Reason.TOKEN_INVALID)
        return self._keyring.user(text[len(_SCHEME) :].strip())

    def _sweep(self) -> None:
        known = [visit for visit in self._visits if visit.user.token_id and visit.task is not None]
        if not known:
            self._unknown_since = None
        for visit in known:
            error = self._refusal(visit.user.token_id)
            if error is None:
                continue
            if visit.ended_by is None:
                _log.warning("a call of %s is ended: %s", visit.user.name, error)
            # Again with each look until it has ended: Python 3.10's wait_for can swallow a cancellation.
            _end(visit, error)

    def _refusal(self, token_id: str) -> WsiSamServerError | None:
        """Why calls with a token must end; None where they may go on."""
        assert self._keyring is not None
        refusal = None
        try:
            self._keyring.check(token_id)
        except WsiSamServerError as error:
            refusal = error
        if refusal is None or refusal.reason is not Reason.TOKENS_UNAVAILABLE:
            self._unknown_since = None
            return refusal
        if self._unknown_since is None:
            self._unknown_since = time.monotonic()
        return refusal if time.monotonic() - self._unknown_since >= _SECONDS_WITHOUT_TOKENS else None


def caller_place(peer: str) -> str:
    """Where a call comes from: the computer; of this computer, the connection, as all its users call from here.

    Args:
        peer: as gRPC says it, such as `ipv4:10.0.0.7:50431`.
    """
    kind, _, address = unquote(peer).partition(":")
    host, _, port = address.rpartition(":")
    if kind not in {"ipv4", "ipv6"} or not port.isdecimal() or is_loopback(host.strip("[]")):
        return peer
    return host


def _end(visit: Visit, error: WsiSamServerError) -> None:
    visit.ended_by = error
    if visit.task is not None:
        visit.task.cancel()
