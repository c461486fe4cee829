"""Where a store is: the default file, and what people write for another place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from wsisam_server.annotations.store.errors import StoreError

if TYPE_CHECKING:
    import sqlalchemy as sa

_POSTGRESQL: Final = ("postgresql", "postgres", "postgresql+psycopg")


def parse(text: str) -> sa.URL:
    """A path or a URL as a database's URL.

    Args:
        text: the path of a SQLite file, or sqlite:///PATH, or postgresql://USER:PASSWORD@HOST/DATABASE.

    Raises:
        StoreError: it is neither.
    """
    if "://" not in text:
        return _sqlite(Path(text))
    import sqlalchemy as sa  # noqa: PLC0415 - takes as long as all else that a command's help imports

    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise StoreError("the store's URL is not a URL; write postgresql://USER:PASSWORD@HOST/DATABASE") from error
    if url.drivername in _POSTGRESQL:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername == "sqlite" and url.database and url.database != ":memory:":
        return _sqlite(Path(url.database))
    raise StoreError(f"a store is a SQLite file or a postgresql:// URL, not {url.drivername}://")


def shown(url: sa.URL) -> str:
    """A store as people may see it: the path of the file, or the URL without its password."""
    if is_sqlite(url):
        return str(url.database)
    return url.set(drivername="postgresql").render_as_string(hide_password=True)


def plain_name(text: str) -> str:
    """What `shown` says of what people wrote, without asking a file system, which may hang."""
    import sqlalchemy as sa  # noqa: PLC0415

    return shown(sa.make_url(text)) if "://" in text else text


def is_sqlite(url: sa.URL) -> bool:
    """Whether it is a SQLite file."""
    return url.get_backend_name() == "sqlite"


def _sqlite(path: Path) -> sa.URL:
    import sqlalchemy as sa  # noqa: PLC0415

    path = path.expanduser()
    if path.is_dir():
        raise StoreError(f"{path} is a folder; name a file in it, for example {path / 'annotations.sqlite'}")
    return sa.URL.create("sqlite", database=str(path.absolute()))
