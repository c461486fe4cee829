"""Authenticates and authorises calls, and ends those whose token was revoked."""

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
from wsisam_server.service.interceptors.method_permissions import METHOD_PERMISSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wsisam_server.service.identity import Keyring, RateLimiter

METADATA_KEY: Final = "authorization"

_SCHEME: Final = "bearer "
_POLL_SECONDS: Final = 0.5
_SECONDS_WITHOUT_TOKENS: Final = 5.0
"""How long calls continue whose token cannot be checked, because the file is being replaced or scanned."""

_log = logging.getLogger(__name__)


class ReadinessGate:
    """Whether calls are accepted at all: closed with a reason while the server starts or stops, open in between."""

    def __init__(self) -> None:
        self._closed_by: Reason | None = Reason.STARTING

    def open(self) -> None:
        """Accepts calls."""
        self._closed_by = None

    def close(self, reason: Reason) -> None:
        """Refuses new calls. Running ones continue."""
        self._closed_by = reason

    def check(self) -> None:
        """Passes when the gate is open.

        Raises:
            WsiSamServerError: the reason that it was closed with.
        """
        if self._closed_by is not None:
            raise WsiSamServerError(self._closed_by)


@dataclass(slots=True, eq=False)
class ActiveCall:
    """One call that was admitted and runs.

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
    """Admits calls by token, permission and rate.

    Args:
        keyring: knows the tokens; None where no token is known.
        required: whether callers without a token are refused what is not for anyone.
        streams: how many one user may have open.
        rate_limiter: limits how often one user may call.
        byte_limiter: limits the MiB of one user's messages; None for no limit.

    Callers without a token are distinguished by their address (`caller_address`).
    """

    def __init__(
        self,
        keyring: Keyring | None,
        *,
        required: bool,
        streams: int,
        rate_limiter: RateLimiter,
        byte_limiter: RateLimiter | None = None,
    ) -> None:
        self._keyring = keyring
        self._required = required
        self._streams = streams
        self._rate_limiter = rate_limiter
        self._byte_limiter = byte_limiter
        self._active_calls: set[ActiveCall] = set()
        self._unknown_since: float | None = None

    def admit(
        self, method: str, metadata: Iterable[tuple[str, str | bytes]], *, stream: bool = False, peer: str = ""
    ) -> ActiveCall:
        """Admits a call.

        Args:
            method: its full name, "/package.Service/Method".
            metadata: with the token, or without.
            stream: whether it is more than one message each way.
            peer: its address, in gRPC's form.

        Raises:
            WsiSamServerError: TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED, TOKENS_UNAVAILABLE or ROLE_NOT_ALLOWED;
                TOO_MANY_MESSAGES or TOO_MANY_STREAMS.
        """
        user = self.caller(method, metadata, peer)
        if user is None:
            return ActiveCall(replace(LOCAL, peer=caller_address(peer)), method, stream)
        mine = user.principal
        self._rate_limiter.take(mine)
        if stream and sum(call.stream and call.user.principal == mine for call in self._active_calls) >= self._streams:
            raise WsiSamServerError(Reason.TOO_MANY_STREAMS, limit=self._streams)
        return ActiveCall(user, method, stream)

    async def charge_bytes(self, call: ActiveCall, nbytes: int) -> None:
        """Charges the bytes of a call's message to its user, and returns when the message may be handled.

        Reading large messages costs time of the event loop that all users share. So a user who sends many waits.
        """
        if self._byte_limiter is not None:
            await self._byte_limiter.wait(call.user.principal, nbytes / MIB)

    def caller(self, method: str, metadata: Iterable[tuple[str, str | bytes]], peer: str = "") -> User | None:
        """The caller, if they may call this method; None where it is for anyone. Sets the user of the log's records.

        Raises:
            WsiSamServerError: TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED, TOKENS_UNAVAILABLE or ROLE_NOT_ALLOWED.
        """
        allowed = METHOD_PERMISSIONS.get(method, frozenset())
        if None in allowed:
            return None
        user = self._user(metadata)
        if not user.name:
            user = replace(user, peer=caller_address(peer))
        set_user(user)
        if user.role not in allowed:
            raise WsiSamServerError(Reason.ROLE_NOT_ALLOWED, role=user.role.value, method=method.rsplit("/", 1)[-1])
        return user

    @contextmanager
    def active(self, call: ActiveCall) -> Iterator[None]:
        """Runs a call's body, which is cancelled when its token is revoked; `call.ended_by` then holds the reason."""
        call.task = asyncio.current_task()
        self._active_calls.add(call)
        try:
            yield
        finally:
            self._active_calls.discard(call)

    def running(self) -> Counter[tuple[str, str]]:
        """How many calls run, by method and user's name. From any thread."""
        return Counter((call.method, call.user.name) for call in list(self._active_calls))

    async def empty(self, prefix: str) -> None:
        """Returns when no call runs any more whose method begins with `prefix`, and all their clients were answered."""
        while tasks := [
            one.task for one in self._active_calls if one.task is not None and one.method.startswith(prefix)
        ]:
            await asyncio.wait(tasks)

    def end_all(self, prefix: str, error: WsiSamServerError) -> None:
        """Ends all running calls whose method begins with `prefix`, with an error."""
        for call in self._active_calls:
            if call.method.startswith(prefix):
                _end(call, error)

    async def watch(self) -> None:
        """Ends calls whose token is no longer valid, until it is cancelled."""
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
        known = [call for call in self._active_calls if call.user.token_id and call.task is not None]
        if not known:
            self._unknown_since = None
        for call in known:
            error = self._refusal(call.user.token_id)
            if error is None:
                continue
            if call.ended_by is None:
                about = {"about_user": call.user.name}
                _log.warning("a call of %s is ended: %s", call.user.name, error, extra=about)
            # Again with each poll until it has ended: Python 3.10's wait_for can swallow a cancellation.
            _end(call, error)

    def _refusal(self, token_id: str) -> WsiSamServerError | None:
        """Why calls with a token must end; None where they may continue."""
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


def caller_address(peer: str) -> str:
    """The address that distinguishes a caller: the host; for this host, the connection, as its users share it.

    Args:
        peer: in gRPC's form, such as `ipv4:10.0.0.7:50431`.
    """
    kind, _, address = unquote(peer).partition(":")
    host, _, port = address.rpartition(":")
    if kind not in {"ipv4", "ipv6"} or not port.isdecimal() or is_loopback(host.strip("[]")):
        return peer
    return host


def _end(call: ActiveCall, error: WsiSamServerError) -> None:
    call.ended_by = error
    if call.task is not None:
        call.task.cancel()
