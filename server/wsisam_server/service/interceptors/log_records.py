"""Log records: whose call they belong to, slides' paths hidden, and their form as text or JSON lines."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import datetime, timezone
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Final

from wsisam_server.core.pseudonyms import Pseudonyms
from wsisam_server.service.identity import current_user
from wsisam_server.service.interceptors.request_id import current_request_id

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT: Final = "%(asctime)s %(levelname)s %(name)s [%(request_id)s %(user)s]: %(message)s"

CALL: Final = ("method", "status", "reason", "milliseconds")
"""What the record of a call that ended has beside its text; `reason` is the catalogue's, empty without an error."""


class LogContext(logging.Filter):
    """Gives every record `request_id` and `user`, "-" outside calls; put on handlers, it refuses none.

    Args:
        hide_paths: write "path-" and sixteen digits in place of a slide's path. Without the salt, they cannot be
            guessed back. The texts of unexpected errors, which may hold a path, are then left out of tracebacks.
        hide_users: write "author-" and sixteen digits in place of a user's name.
        pseudonyms: give the replacements; without them, the same path has the same digits until the server is
            started again.
    """

    def __init__(
        self, *, hide_paths: bool = False, hide_users: bool = False, pseudonyms: Pseudonyms | None = None
    ) -> None:
        super().__init__()
        self._hide_paths, self._hide_users = hide_paths, hide_users
        self._pseudonyms = pseudonyms or Pseudonyms()

    def filter(self, record: logging.LogRecord) -> bool:
        """See logging.Filter."""
        record.request_id = current_request_id()
        user = current_user().name
        record.user = (self._pseudonyms.of("author", user) if self._hide_users else user) or "-"
        if self._hide_users:
            self._hide_other_user(record)
        if self._hide_paths:
            self._hide_path(record)
        return True

    def _hide_other_user(self, record: logging.LogRecord) -> None:
        """The name of whom the text is about."""
        about: str = getattr(record, "about_user", "")
        if about:
            code = self._pseudonyms.of("author", about)
            record.msg, record.args, record.about_user = record.getMessage().replace(about, code), (), code

    def _hide_path(self, record: logging.LogRecord) -> None:
        path: str = getattr(record, "path", "")
        if path:
            code = self._pseudonyms.of("path", path)
            text = record.getMessage()
            for form in _forms(path):
                text = text.replace(form, code)
            record.msg, record.args, record.path = text, (), code
        if record.exc_info:
            kind, _, trace = record.exc_info
            frames = "".join(traceback.format_tb(trace))
            record.exc_info, record.exc_text = None, f"{frames}{kind.__name__ if kind else 'error'} (text hidden)"


def _forms(path: str) -> Iterator[str]:
    """A path as it may stand in a text, whole forms before their parts."""
    names = {PurePosixPath(path).name, PureWindowsPath(path).name} - {""}
    for form in (path, *sorted(names, key=len, reverse=True)):
        yield from (form, repr(form)[1:-1])


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
