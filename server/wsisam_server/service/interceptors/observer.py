"""Who hears of every call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


class CallObserver(Protocol):
    """Hears of each call's begin and end, in the call's own task; must neither block nor raise."""

    def call_begun(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """A call came; it has a request id and is not let in yet.

        Args:
            method: its full name, "/package.Service/Method".
            metadata: what the caller sent with it.
        """
        ...

    def call_ended(self, method: str, status: str) -> None:
        """A call ended, with this status of gRPC."""
        ...
