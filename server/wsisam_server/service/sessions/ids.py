"""Which session ids are taken."""

from __future__ import annotations

from wsisam_server.core.errors import Reason, WsiSamServerError


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
