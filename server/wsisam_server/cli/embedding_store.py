"""The options that say where embeddings are kept on a disk, shared by the commands that read or write them there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from wsisam_server.cli.configuration import PREFIX, SEPARATOR
from wsisam_server.cli.size import Size
from wsisam_server.core.settings import Limits

Command = TypeVar("Command", bound=Callable[..., Any])

FOLDER_VARIABLE: Final = f"{PREFIX}EMBEDDING_STORE"
BYTES_VARIABLE: Final = f"{PREFIX}LIMITS{SEPARATOR}EMBEDDING_STORE_BYTES"


def embedding_store_options(command: Command) -> Command:
    """Adds --embedding-store and --embedding-store-bytes."""
    folder = click.option(
        "--embedding-store",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="FOLDER",
        envvar=FOLDER_VARIABLE,
        help=f"Keep embeddings in this folder, so that they outlive the server; ${FOLDER_VARIABLE}.",
    )
    nbytes = click.option(
        "--embedding-store-bytes",
        type=Size(),
        metavar="SIZE",
        envvar=BYTES_VARIABLE,
        help=f"What they may take there ({Limits().embedding_store_bytes // 2**30}GiB unless configured); those not "
        f"used for longest go. ${BYTES_VARIABLE}.",
    )
    return folder(nbytes(command))
