"""The options of a connection to a server, shared by the commands that use one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click

from wsisam_server.core.spelling import decoded

if TYPE_CHECKING:
    from wsisam_server.client import Client

Command = TypeVar("Command", bound=Callable[..., Any])

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """The values of `connection_options`: how to connect to a server."""

    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    token: str | None = None
    token_file: Path | None = None

    def connect(self, server: str, **more: Any) -> Client:
        """A connection.

        Args:
            server: HOST:PORT, or https://HOST:PORT for an encrypted connection.
            **more: for `Client`.

        Raises:
            click.ClickException: the options do not fit together, or a file cannot be used.
        """
        from wsisam_server.client import Client, ServerError
        from wsisam_server.core.tls import TlsError

        try:
            token = self.token
            if token is None and self.token_file is not None:
                token = decoded(self.token_file.read_bytes())
            return Client(server, ca=self.tls_ca, certificate=self.tls_cert, key=self.tls_key, token=token, **more)
        except (TlsError, ServerError, OSError, ValueError) as error:
            raise click.ClickException(str(error)) from error


def connection_options(command: Command) -> Command:
    """Adds the options of a connection; the command gets them as `connection`."""

    @functools.wraps(command)
    def bundled(**given: Any) -> Any:
        connection = ConnectionOptions(**{field.name: given.pop(field.name) for field in fields(ConnectionOptions)})
        return command(**given, connection=connection)

    return cast("Command", _ca(_cert(_key(_token(_token_file(bundled))))))


_ca = click.option(
    "--tls-ca",
    type=_FILE,
    envvar="WSISAM_TLS_CA",
    show_envvar=True,
    help="Encrypt, and trust servers whose certificate these authorities (PEM) signed.",
)
_cert = click.option("--tls-cert", type=_FILE, help="Your certificate (PEM), for a server that asks for one.")
_key = click.option("--tls-key", type=_FILE, help="Its key.")
_token = click.option(
    "--token",
    envvar="WSISAM_TOKEN",
    show_envvar=True,
    help="Your token for the server. On the command line, others on this machine can read it.",
)
_token_file = click.option(
    "--token-file", type=_FILE, envvar="WSISAM_TOKEN_FILE", show_envvar=True, help="A file with the token, instead."
)
