"""What a server says while it runs: lines for people, or JSON alone, whoever writes them.

Most lines are log records. The others, which gRPC's core, other libraries and Python itself write to standard error,
become one record a line, of the logger `stderr`, where JSON is wanted.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

import click

from wsisam_server.core.pseudonyms import Pseudonyms, read_salt
from wsisam_server.service.interceptors import TEXT, JsonLines, LogContext

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from wsisam_server.core.settings import Settings

END_SECONDS: Final = 1.0
"""That is waited for the last lines of others."""

_STDERR: Final = 2

_log = logging.getLogger(__name__)


class ServerLog:
    """The log of a server's process.

    Args:
        settings: form and level of its lines.
    """

    def __init__(self, settings: Settings) -> None:
        self._is_json = settings.log_format == "json"
        self._others: _OthersLines | None = None
        if self._is_json:
            # Standard error as it is now, whatever takes its number below.
            own = os.fdopen(os.dup(_STDERR), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
            self._handler: logging.Handler = logging.StreamHandler(own)
        else:
            self._handler = logging.StreamHandler()
        hide = settings.log_deidentify
        pseudonyms = None if settings.log_salt is None else Pseudonyms(read_salt(settings.log_salt))
        context = LogContext(hide_paths=hide or settings.log_hide_paths, hide_users=hide, pseudonyms=pseudonyms)
        self._handler.addFilter(context)
        self._handler.setFormatter(JsonLines() if self._is_json else logging.Formatter(TEXT))
        logging.basicConfig(level=settings.log_level.upper(), handlers=[self._handler])
        # A line for each plugin of the library that upgrades stores, at every start.
        logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
        if self._is_json:
            self._others = _OthersLines(self._handler)
            atexit.register(self.close)
            logging.captureWarnings(capture=True)
            sys.excepthook = _unexpected

    def say(self, text: str, *, err: bool = True, level: int = logging.INFO) -> None:
        """Tells whoever started the server something, at any level of the log.

        Args:
            text: one line.
            err: as a line for people, to standard error; else to standard output.
            level: of the record, with JSON.
        """
        if self._is_json:
            self._handler.handle(_log.makeRecord(_log.name, level, __file__, 0, text, (), None))
        else:
            click.echo(f"wsisam: {text}", err=err)

    def failed(self, error: click.ClickException) -> Exception:
        """What to raise so that the process ends with an error, said in the log's form."""
        if not self._is_json:
            return error
        self.say(error.format_message(), level=logging.CRITICAL)
        return click.exceptions.Exit(error.exit_code)

    def close(self) -> None:
        """Gives standard error back; again, it does nothing."""
        if self._others is not None:
            self._others.close()
            self._others = None


class _OthersLines:
    """Makes records of what others write to standard error, until it is closed."""

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler
        read, write = os.pipe()
        self._before = os.dup(_STDERR)
        os.dup2(write, _STDERR)
        os.close(write)
        self._thread = threading.Thread(target=self._read, args=(read,), name="stderr", daemon=True)
        self._thread.start()

    def _read(self, pipe: int) -> None:
        with os.fdopen(pipe, encoding="utf-8", errors="backslashreplace") as lines:
            for line in lines:
                text = line.rstrip("\r\n")
                if text:
                    self._handler.handle(logging.LogRecord("stderr", logging.WARNING, "", 0, text, (), None))

    def close(self) -> None:
        """Waits for what was written until now. A child process that lives on has the other end, too: not for ever."""
        os.dup2(self._before, _STDERR)
        os.close(self._before)
        self._thread.join(END_SECONDS)


def failed_early(error: click.ClickException, flags: Mapping[str, Any]) -> Exception:
    """As `ServerLog.failed`, where what is wrong is the configuration: options and variables say in which form.

    Args:
        error: what is wrong.
        flags: what was said on the command line.
    """
    if flags.get("log_format", os.environ.get("WSISAM_LOG_FORMAT", "")).lower() != "json":
        return error
    record = logging.LogRecord(_log.name, logging.CRITICAL, __file__, 0, error.format_message(), (), None)
    click.echo(JsonLines().format(record), err=True)
    return click.exceptions.Exit(error.exit_code)


def _unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("wsisam_server").critical("the server ends by an unexpected error", exc_info=(kind, error, trace))
