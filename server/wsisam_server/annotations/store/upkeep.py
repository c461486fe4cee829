"""Looking after a store: its upgrade, its check, its backup, and what follows when one was put back."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from wsisam_server.annotations.store import chain, integrity, tables
from wsisam_server.annotations.store.database import APPLICATION_NAME
from wsisam_server.annotations.store.errors import StoreError
from wsisam_server.annotations.store.opening import explained, open_database
from wsisam_server.annotations.store.schema import Schema, State, newer
from wsisam_server.core.files import flush, flush_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Summary:
    """What a store holds, and what is wrong with it.

    Attributes:
        where: the store, as people may see it.
        annotations: those that are not deleted.
        deleted: those that are.
        revisions: all of them, each of which was read.
        newest: the latest revision's number and its digest over the whole history, "NUMBER:HEX"; empty where there is
            none.
        problems: empty for a sound store.
    """

    where: str
    annotations: int
    deleted: int
    revisions: int
    newest: str
    problems: tuple[str, ...]


def upgrade(where: str, schema: Schema | None = None) -> tuple[str, str]:
    """Brings a store to the form that this program works with.

    Returns:
        The version of its form before and after; equal when there was nothing to do.

    Raises:
        StoreError: it is no store, or a newer one, or cannot be changed.
    """
    with contextlib.closing(open_database(where, existing=True)) as database, explained(database):
        return (schema or Schema()).upgrade(database)


def check(
    where: str, progress: Callable[[int, int], None] | None = None, kept: tuple[int, bytes] | None = None
) -> Summary:
    """Reads all of a store and says what is wrong with it. Others may use it meanwhile.

    Args:
        where: see `location.parse`.
        progress: told how many revisions have been read, and how many there are.
        kept: number and digest of an earlier `Summary.newest`; a history that does not lead through it is a problem.

    Raises:
        StoreError: it cannot be opened or read at all.
    """
    with (
        contextlib.closing(open_database(where, existing=True)) as database,
        explained(database),
        database.reading() as connection,
    ):
        _present(connection, database.shown)
        problems = list(integrity.problems(connection, progress, kept))
        count = sa.select(sa.func.count())
        deleted = tables.annotation.c.deleted
        return Summary(
            where=database.shown,
            annotations=connection.execute(count.where(~deleted)).scalar_one(),
            deleted=connection.execute(count.where(deleted)).scalar_one(),
            revisions=connection.execute(count.select_from(tables.revision)).scalar_one(),
            newest=_newest(connection),
            problems=tuple(problems),
        )


def _newest(connection: sa.Connection) -> str:
    column = tables.revision.c
    row = connection.execute(sa.select(column.number, column.chain).order_by(column.number.desc()).limit(1)).first()
    return "" if row is None or row.chain is None else f"{row.number}:{row.chain.hex()}"


def backup(where: str, target: Path) -> None:
    """Copies a SQLite store, whole and consistent, while others use it.

    The copy appears under its name only when it is complete, checked, and on the disk.

    Raises:
        StoreError: the store is on PostgreSQL (the text has pg_dump's command), the target exists, or the copy fails.
    """
    with contextlib.closing(open_database(where, existing=True)) as database, explained(database):
        if database.path is None:
            raise StoreError(
                f"a PostgreSQL store is backed up by PostgreSQL's own tools; run: pg_dump --format=custom "
                f"--file={target} '{database.shown}' (and to restore into an empty database: pg_restore "
                f"--no-owner --dbname='{database.shown}' {target}, then wsisam db restored)"
            )
        with database.reading() as connection:
            # Of an older form, too: before an upgrade, only the program that wants one may be at hand.
            _present(connection, database.shown, State.CURRENT, State.OLDER)
        _copy(database.path, target)


def restored(where: str) -> str:
    """Gives a store that was put back from a backup an identity of its own. No server may have it open.

    Numbers that were given out after the backup will be given out again, for other changes. A client that was away
    meanwhile would not notice, and miss them; it asks for everything anew when it meets another store.

    Returns:
        The new identity.

    Raises:
        StoreError: it is no store of this version, or cannot be changed.
    """
    identity = str(uuid.uuid4())
    with contextlib.closing(open_database(where, existing=True)) as database, explained(database):
        if database.path is not None:
            _refuse_in_use(database.path)
        with database.reading() as connection:
            _present(connection, database.shown)
            if database.path is None:
                _refuse_connected(connection, database.shown)
        with database.writing() as connection:
            connection.execute(sa.update(tables.store).values(identity=identity, checksum=chain.of_store(identity)))
    return identity


def _refuse_in_use(path: Path) -> None:
    """A server that has it open would go on answering for the store that it was."""
    with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as alone:
        try:
            alone.execute("PRAGMA locking_mode = EXCLUSIVE")
            alone.execute("BEGIN EXCLUSIVE")
            alone.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                return  # what else there is, whoever opens it next says
            raise StoreError(f"{path} is in use: stop the server that has it open, then run this again") from error


def _refuse_connected(connection: sa.Connection, where: str) -> None:
    """The same of a PostgreSQL database, whose server knows who is connected; each of ours says who it is."""
    others = connection.execute(
        sa.text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = :name "
            "AND pid <> pg_backend_pid()"
        ),
        {"name": APPLICATION_NAME},
    ).scalar_one()
    if others:
        raise StoreError(
            f"{where} is in use ({others} connections of wsisam): stop the server that has it open, then run this again"
        )


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    if target.exists():
        raise StoreError(f"{target} exists; a backup never overwrites. Name another file")
    try:
        part.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(source)) as original, contextlib.closing(sqlite3.connect(part)) as copy:
            original.backup(copy)
            # A file by itself: the source's write-ahead log is in it, and it needs none of its own.
            copy.execute("PRAGMA journal_mode = DELETE")
            (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise StoreError(f"the copy is damaged ({verdict}), so the store is, too; see 'wsisam db check'")
        flush(part)
        part.rename(target)
        flush_folder(target.parent)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"no backup was made: {target} cannot be written ({_cause(error, target)})") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _cause(error: sqlite3.Error | OSError, target: Path) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if not target.parent.is_dir():
        return f"there is no folder {target.parent}"
    return "the disk is full" if "full" in str(error) else str(error)


def _present(connection: sa.Connection, where: str, *allowed: State) -> None:
    state = Schema().state(connection)
    if state is State.NEWER:
        raise StoreError(newer(where, connection))
    if state not in (allowed or (State.CURRENT,)):
        raise StoreError(f"{where} is not a store of this version ({state.name.lower()}); see 'wsisam db upgrade'")
