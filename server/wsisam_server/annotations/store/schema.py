"""Which form a database has, and how it is brought to the present one."""

from __future__ import annotations

import uuid
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Final

import alembic.command
import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import wsisam_server
from wsisam_server.annotations.store import chain, tables
from wsisam_server.annotations.store.errors import StoreError

if TYPE_CHECKING:
    from wsisam_server.annotations.store.database import Database

VERSION_TABLE: Final = "wsisam_version"

MIGRATIONS: Final = Path(__file__).parent / "migrations"

_LOCK: Final = 0x77736973616D
"""PostgreSQL's advisory lock of whoever makes or migrates a store ("wsisam")."""


def version_of(connection: sa.Connection) -> str:
    """The version of a store's form, as its database says it; empty when it does not."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return ", ".join(sorted(context.get_current_heads()))


class State(Enum):
    """What a database holds."""

    EMPTY = auto()
    CURRENT = auto()
    OLDER = auto()
    NEWER = auto()
    FOREIGN = auto()


def newer(shown: str, connection: sa.Connection) -> str:
    """What is said of a store that this program is too old for; no upgrade of the store helps.

    A migration after the third is named by its number and the release that brings it: 0004-0.2.0.
    """
    form, _, release = version_of(connection).partition("-")
    which = f", {release} or later" if release else ""
    return (
        f"{shown} was made by a newer wsisam than this one{which} (its form is {form}; this is "
        f"{wsisam_server.__version__}). Install that release here, or restore the backup that was made before the "
        "store's upgrade."
    )


class Schema:
    """The form of a store.

    Args:
        migrations: the folder with Alembic's environment and versions.
    """

    def __init__(self, migrations: Path = MIGRATIONS) -> None:
        self._config = Config()
        self._config.set_main_option("script_location", str(migrations).replace("%", "%%"))
        self._scripts = ScriptDirectory.from_config(self._config)

    @property
    def version(self) -> str:
        """The version that this program works with."""
        head = self._scripts.get_current_head()
        assert head is not None
        return head

    def state(self, connection: sa.Connection) -> State:
        """Which form the database has."""
        found = set(sa.inspect(connection).get_table_names())
        if VERSION_TABLE not in found:
            # A PostgreSQL database may hold other programs' tables; a SQLite file is one program's.
            foreign = found if connection.dialect.name == "sqlite" else found & set(tables.metadata.tables)
            return State.FOREIGN if foreign else State.EMPTY
        present = version_of(connection)
        if present == self.version:
            return State.CURRENT
        known = {script.revision for script in self._scripts.walk_revisions()}
        return State.OLDER if present in known else State.NEWER

    def prepare(self, database: Database) -> None:
        """Makes the tables where there are none; passes a database of the present form.

        Raises:
            StoreError: it has another form.
            WsiSamServerError: of the store.
        """
        with database.reading() as connection:
            state = self.state(connection)
            if state is State.NEWER:
                raise StoreError(newer(database.shown, connection))
        if state is State.EMPTY:
            with database.writing() as connection:
                self._lock(connection)
                state = self.state(connection)
                if state is State.EMPTY:
                    self._migrate(connection)
                    identity = str(uuid.uuid4())
                    row = {"id": 1, "identity": identity, "revision": 0, "checksum": chain.of_store(identity)}
                    connection.execute(sa.insert(tables.store).values(row))
                    return
        self._refuse(state, database)

    def upgrade(self, database: Database) -> tuple[str, str]:
        """Brings an older store to the present form, in one transaction.

        Returns:
            The version before and after.

        Raises:
            StoreError: it is no store, or a newer one.
            WsiSamServerError: of the store.
        """
        with database.writing() as connection:
            self._lock(connection)
            state = self.state(connection)
            if state is State.EMPTY:
                raise StoreError(f"{database.shown} is no store yet; 'wsisam serve' makes one")
            if state is State.NEWER:
                raise StoreError(newer(database.shown, connection))
            if state is not State.OLDER:
                self._refuse(state, database)
                return self.version, self.version
            before = version_of(connection)
            self._migrate(connection)
            return before, self.version

    def _migrate(self, connection: sa.Connection) -> None:
        self._config.attributes["connection"] = connection
        try:
            alembic.command.upgrade(self._config, "head")
        finally:
            del self._config.attributes["connection"]

    def _lock(self, connection: sa.Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))

    def _refuse(self, state: State, database: Database) -> None:
        if state is State.OLDER:
            raise StoreError(
                f"{database.shown} was made by an older wsisam. Stop what uses it, make a backup "
                "(wsisam db backup), then run: wsisam db upgrade"
            )
        if state is State.FOREIGN:
            raise StoreError(f"{database.shown} holds another program's tables. Name a new file, or an empty database.")
