"""The options that take out of files what identifies people, shared by the commands whose files leave the lab."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wsisam_server.core.pseudonyms import Pseudonyms, SaltError, read_salt
from wsisam_server.core.settings import NoHomeError, user_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_server.annotations.formats.deidentifying import Deidentifier

Command = TypeVar("Command", bound="Callable[..., Any]")

SALT = "deidentify.salt"
"""In the user's data folder, where no other file is named."""


def deidentify_options(command: Command) -> Command:
    """Adds --deidentify and what belongs to it; passed on as `deidentifier`, None where it is not wanted."""

    @click.option(
        "--deidentify",
        is_flag=True,
        help="Replace authors, slides' paths and names, projects and annotations' names by pseudonyms, and leave out "
        "other metadata. docs/admin.md says what it does not cover.",
    )
    @click.option(
        "--deidentify-salt",
        "salt",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="The secret of the pseudonyms, made if it is not there: the same file, the same pseudonyms. A file in "
        "your data folder if not given.",
    )
    @click.option(
        "--deidentify-names",
        "names",
        metavar="REGEX",
        help="Replace only those of the annotations' names in which this finds something, for example '\\d{4,}'.",
    )
    @functools.wraps(command)
    def with_deidentifier(*args: Any, deidentify: bool, salt: Path | None, names: str | None, **rest: Any) -> Any:
        if not deidentify and (salt is not None or names is not None):
            raise click.UsageError("--deidentify-salt and --deidentify-names go with --deidentify")
        return command(*args, deidentifier=_made(salt, names) if deidentify else None, **rest)

    return with_deidentifier  # type: ignore[return-value]


def _made(salt: Path | None, names: str | None) -> Deidentifier:
    from wsisam_server.annotations.formats.deidentifying import ALL_NAMES, Deidentifier

    try:
        pattern = ALL_NAMES if names is None else re.compile(names)
    except re.error as error:
        raise click.BadParameter(
            f"{names!r} is no regular expression: {error}", param_hint="--deidentify-names"
        ) from error
    try:
        return Deidentifier(Pseudonyms(read_salt(salt or user_data(SALT))), pattern)
    except (SaltError, NoHomeError) as error:
        raise click.ClickException(str(error)) from error


def tell(deidentifier: Deidentifier | None) -> None:
    """Lists what was replaced and left out, to standard error: the list itself does not leave the lab."""
    if deidentifier is not None:
        for line in deidentifier.lines():
            click.echo(f"deidentified: {line}", err=True)
