"""What databases raise, as errors of the catalogue. The database's own words go to the log."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

# SQLite's error codes reach Python from 3.11 on; its texts have been the same for twenty years.
_SQLITE: Final = {
    "database or disk is full": Reason.STORE_FULL,
    "database is locked": Reason.STORE_BUSY,
    "database table is locked": Reason.STORE_BUSY,
    "locking protocol": Reason.STORE_BUSY,
    "database disk image is malformed": Reason.STORE_DAMAGED,
    "malformed database schema": Reason.STORE_DAMAGED,
    "file is not a database": Reason.STORE_DAMAGED,
    "Could not decode to UTF-8": Reason.STORE_DAMAGED,
}

# By SQLSTATE, or its class of two characters.
_POSTGRESQL: Final = {
    "53100": Reason.STORE_FULL,
    "55P03": Reason.STORE_BUSY,
    "40": Reason.STORE_BUSY,
    "XX001": Reason.STORE_DAMAGED,
    "XX002": Reason.STORE_DAMAGED,
}


LONGEST: Final = 500
"""Characters of a database's message that are kept: it may echo what is stored."""


@contextmanager
def translated() -> Iterator[None]:
    """Raises errors of the catalogue for those of the database.

    Raises:
        WsiSamServerError: STORE_BUSY, STORE_FULL, STORE_DAMAGED; STORE_UNAVAILABLE for all others that a database
            may have (a file or a server that is gone, refuses, or cannot read or write its disk).
    """
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InternalError, sa.exc.DatabaseError, sa.exc.InterfaceError) as error:
        if isinstance(error, (sa.exc.ProgrammingError, sa.exc.IntegrityError, sa.exc.DataError)):
            raise  # not the database's fault but ours
        raise WsiSamServerError(
            reason(error), private=f"{type(error.orig).__name__}: {error.orig}"[:LONGEST]
        ) from error
    except UnicodeDecodeError as error:  # a damaged schema, of which SQLite's own message is no text
        raise WsiSamServerError(Reason.STORE_DAMAGED, private=str(error)) from error
    except sa.exc.TimeoutError as error:  # no connection of the pool came free
        raise WsiSamServerError(Reason.STORE_BUSY, private=str(error)) from error


def reason(error: sa.exc.DBAPIError) -> Reason:
    """Which error of the catalogue a database's error is."""
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return _POSTGRESQL.get(state, _POSTGRESQL.get(state[:2], Reason.STORE_UNAVAILABLE))
    text = str(error.orig)
    return next((known for words, known in _SQLITE.items() if words in text), Reason.STORE_UNAVAILABLE)
