"""The options that say where annotations are kept, shared by the commands that use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import click

from wsisam_server.annotations.store import Store, StoreError, open_store
from wsisam_server.cli.connection import ConnectionOptions, connection_options
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.settings import NONE, default_store

_NEEDED: Final = "this command needs a store"

Command = TypeVar("Command", bound=Callable[..., Any])


def store_option(command: Command, *, needed: bool = True) -> Command:
    """Adds --store, passed on as a text for `open_store`; where it is not `needed`, perhaps as `NONE`."""

    def named(_: click.Context, __: click.Parameter, value: str | None) -> str:
        if value == NONE and needed:
            raise click.BadParameter(_NEEDED)
        return value or str(default_store())

    return click.option(
        "--store",
        metavar="PATH|URL",
        envvar="WSISAM_STORE",
        show_envvar=True,
        callback=named,
        help="Where annotations are kept: a SQLite file, or postgresql://USER:PASSWORD@HOST/DATABASE. A file in your "
        "data folder if not given.",
    )(command)


def place_options(command: Command) -> Command:
    """Adds --store, --server and how it is reached, for `opened`: the store may be `NONE` where a server has one."""
    server = click.option("--server", metavar="HOST:PORT", help="The annotations of this server, instead of --store.")
    return store_option(server(connection_options(command)), needed=False)


@contextmanager
def opened(store: str, server: str | None, connection: ConnectionOptions, *, existing: bool = False) -> Iterator[Store]:
    """The store that the options name; its errors, while it is used, become the command's.

    Args:
        store: what `open_store` takes.
        server: whose store, instead.
        connection: how the server is reached.
        existing: only if it is there already; for commands that only read it.

    Raises:
        click.ClickException: with what to do.
    """
    if server is not None:
        source = click.get_current_context().get_parameter_source("store")
        if source is not None and source.name == "COMMANDLINE":
            raise click.UsageError("give --store or --server, not both")
    elif store == NONE:
        raise click.UsageError(f"{_NEEDED}: name it with --store, or a --server that has one")
    try:
        with _remote(server, connection) if server else open_store(store, existing=existing) as place:
            yield place
    except StoreError as error:
        raise click.ClickException(str(error)) from error
    except WsiSamServerError as error:
        raise click.ClickException(f"{error.public_text} {error.private_text}".strip()) from error


def _remote(server: str, connection: ConnectionOptions) -> Store:
    from wsisam_server.client.remote_store import RemoteStore

    return RemoteStore(connection.connect(server))
