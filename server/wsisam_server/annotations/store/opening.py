"""Opening a store: what is in the way becomes a text for the administrator."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from wsisam_server.annotations.store.errors import StoreError
from wsisam_server.annotations.store.location import parse, shown
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import Limits, default_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsisam_server.annotations.store.database import Database
    from wsisam_server.annotations.store.schema import Schema
    from wsisam_server.annotations.store.sql_store import SqlStore

_WHAT_TO_DO: Final = {
    Reason.STORE_DAMAGED: "is damaged, or is no store at all. 'wsisam db check' says more; restore the last backup",
    Reason.STORE_FULL: "cannot be made: its disk is full. Make room, or put the store elsewhere",
    Reason.STORE_BUSY: "is being changed by another program for too long. Try again when that is done",
}


def open_store(
    where: str, limits: Limits | None = None, schema: Schema | None = None, *, existing: bool = False
) -> SqlStore:
    """Opens a store, and makes it where there is none yet.

    Args:
        where: see `location.parse`.
        limits: bounds on what is stored.
        schema: the form that it must have.
        existing: only if it is there already.

    Raises:
        StoreError: it cannot be opened; the text says what to do.
    """
    # Not above: they import SQLAlchemy and Alembic, for which no command's help must wait.
    from wsisam_server.annotations.store.schema import Schema  # noqa: PLC0415
    from wsisam_server.annotations.store.sql_store import SqlStore  # noqa: PLC0415

    database = open_database(where, existing=existing)
    try:
        with explained(database):
            (schema or Schema()).prepare(database)
            return SqlStore(database, limits or Limits())
    except BaseException:
        database.close()
        raise


def store_name(where: str) -> str:
    """A store as people may see it: the path of the file, or the URL without its password.

    Raises:
        StoreError: see `location.parse`.
    """
    return shown(parse(where))


def open_database(where: str, *, existing: bool = False) -> Database:
    """The database that a text names; not yet looked at.

    Args:
        where: see `location.parse`.
        existing: only if it is there already.

    Raises:
        StoreError: it cannot be there.
    """
    from wsisam_server.annotations.store.database import Database  # noqa: PLC0415

    database = Database(parse(where))
    path = database.path
    if path is None:
        return database
    if existing and not path.exists():
        raise StoreError(f"there is no store at {path}; 'wsisam serve' makes one, or name another with --store")
    try:
        if path == default_store():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the folder {path.parent} cannot be made ({error.strerror}). Name another place with --store PATH, or "
            "serve without a store: --store none"
        ) from error
    if not path.parent.is_dir():
        raise StoreError(f"there is no folder {path.parent} for the store {path.name}")
    return database


@contextmanager
def explained(database: Database) -> Iterator[None]:
    """Raises StoreError, with what to do, for errors of the store that come while it is opened or looked after."""
    try:
        yield
    except WsiSamServerError as error:
        default = (
            "cannot be opened. Check that this user may write the file and its folder"
            if database.is_sqlite
            else "cannot be opened. Check that the server runs and lets this user in"
        )
        raise StoreError(f"{database.shown} {_WHAT_TO_DO.get(error.reason, default)} ({error.private}).") from error
