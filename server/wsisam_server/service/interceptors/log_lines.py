"""Log records as lines: for people, or one JSON object each for programs that collect them."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import Final

TEXT: Final = "%(asctime)s %(levelname)s %(name)s [%(request_id)s %(user)s]: %(message)s"

CALL: Final = ("method", "status", "reason", "milliseconds")
"""What the record of a call that ended has beside its text; `reason` is the catalogue's, empty without an error."""


class JsonLines(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, request_id, user, message, error; CALL of calls.

    For records that passed a `LogContext`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": getattr(record, "request_id", "-"),
            "user": getattr(record, "user", "-"),
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in CALL if hasattr(record, name)}
        if record.exc_text is None and record.exc_info:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["error"] = record.exc_text
        return json.dumps(line, ensure_ascii=False, default=str)
