"""One database: its connections and its two kinds of transaction."""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from wsisam_server.annotations.store.errors import StoreError
from wsisam_server.annotations.store.failures import translated
from wsisam_server.annotations.store.location import is_sqlite, shown
from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger(__name__)

WAIT_SECONDS: Final = 10
"""How long a writer waits for the others before it gives up with STORE_BUSY."""

APPLICATION_NAME: Final = "wsisam"
"""What PostgreSQL calls our connections, so that an administrator, and `wsisam db restored`, can tell them."""

_CONNECTION: Final = {
    "application_name": APPLICATION_NAME,
    "connect_timeout": WAIT_SECONDS,
    # A server that is gone without a word, as behind a cut line, is noticed within half a minute.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
"""What libpq is told, unless the URL says otherwise."""

_PAUSE_SECONDS: Final = 0.02

_WRITES: Final = "wsisam_writes"


class Database:
    """A SQLite file or a PostgreSQL database.

    SQLite runs with a write-ahead log, so that readers and a writer do not wait for each other, and with
    synchronous=FULL, so that a commit has reached the disk when it returns. PostgreSQL does both by itself unless it
    was told not to; that is refused where a session can, and logged where it cannot.

    Args:
        url: as `location.parse` returned it.

    Raises:
        StoreError: there is no driver for it.
    """

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self.is_sqlite = is_sqlite(url)
        try:
            engine = _sqlite(url) if self.is_sqlite else _postgresql(url)
        except ModuleNotFoundError as error:
            if self.is_sqlite:
                raise
            raise StoreError('PostgreSQL needs one more package; run: pip install ".[postgres]"') from error
        self._engine = engine
        # A reader's statements must all see the same state. SQLite's do.
        self._readers = engine if self.is_sqlite else engine.execution_options(isolation_level="REPEATABLE READ")
        self._writers = engine.execution_options(**{_WRITES: True})

    @property
    def shown(self) -> str:
        """Its name for people, without a password."""
        return shown(self.url)

    @property
    def path(self) -> Path | None:
        """The SQLite file."""
        return Path(str(self.url.database)) if self.is_sqlite else None

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state of the store.

        Raises:
            WsiSamServerError: of the store, see `failures.translated`; STORE_DAMAGED also for values that no column of
                its kind can have.
        """
        with translated(), self._readers.begin() as connection:
            try:
                yield connection
            except ValueError as error:
                raise WsiSamServerError(Reason.STORE_DAMAGED, private=f"{type(error).__name__}: {error}") from error

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that is on the disk when it ends, or is undone by an exception.

        On SQLite it is the only writer; on PostgreSQL its first statement has to make it so.

        Raises:
            WsiSamServerError: of the store, see `failures.translated`.
        """
        with translated(), self._writers.begin() as connection:
            yield connection

    def close(self) -> None:
        """Closes all connections."""
        self._engine.dispose()


def _sqlite(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": WAIT_SECONDS, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        # Transactions are begun below: the driver's own idea of when one begins leaves reads outside of them.
        connection.isolation_level = None
        mode = _write_ahead(connection)
        if mode != "wal":
            raise StoreError(
                f"{url.database}: this file system has no write-ahead log ({mode}), as most network file systems. Put "
                "the store on a local disk, or use PostgreSQL."
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: past the drive's own cache
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes then could fail at its first write, without waiting.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> str:
    """Turns the write-ahead log on; returns the journal's mode.

    Of several that do so with a new file at once, SQLite refuses some without letting them wait.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return str(mode)


def _postgresql(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(
        url,
        pool_pre_ping=True,  # after a restart of the database server
        connect_args={name: value for name, value in _CONNECTION.items() if name not in url.query},
    )

    @sa.event.listens_for(engine, "first_connect")
    def _look(connection: Any, _: Any) -> None:
        with connection.cursor() as cursor:
            (fsync,) = cursor.execute("SHOW fsync").fetchone()
        connection.rollback()
        if fsync != "on":
            _log.warning("the PostgreSQL server runs with fsync = %s: a power cut can destroy the store", fsync)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{WAIT_SECONDS}s'")
            # Only where it is off: a cluster may be told to wait for more than its own disk.
            cursor.execute(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
        connection.commit()

    return engine
