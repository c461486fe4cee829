"""Whether calls are let in at all."""

from __future__ import annotations

from wsisam_server.core.errors import Reason, WsiSamServerError


class Gate:
    """Closed with a reason while the server starts or stops, open in between."""

    def __init__(self) -> None:
        self._closed_by: Reason | None = Reason.STARTING

    def open(self) -> None:
        """Lets calls in."""
        self._closed_by = None

    def close(self, reason: Reason) -> None:
        """Refuses new calls; running ones go on."""
        self._closed_by = reason

    def check(self) -> None:
        """Passes when the gate is open.

        Raises:
            WsiSamServerError: the reason that it was closed with.
        """
        if self._closed_by is not None:
            raise WsiSamServerError(self._closed_by)
