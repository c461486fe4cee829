"""Whose call a log line belongs to."""

from __future__ import annotations

import logging

from wsisam_server.identity import current_user
from wsisam_server.interceptors.request_id import current_request_id


class LogContext(logging.Filter):
    """Gives every record `request_id` and `user`, "-" outside calls; put on handlers, it refuses none."""

    def filter(self, record: logging.LogRecord) -> bool:
        """See logging.Filter."""
        record.request_id = current_request_id()
        record.user = current_user().name or "-"
        return True
