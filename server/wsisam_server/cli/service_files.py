"""Where this machine's service keeps its files, for commands that an administrator runs beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click

CONFIGURATION: Path = Path("/etc/wsisam/wsisam.toml")
"""Of the service, as docs/admin.md installs it."""

USER: Final = "wsisam"
"""Whom the service runs as."""


def tokens_file(given: Path) -> Path:
    """The file of tokens that a command is about.

    Args:
        given: the value of --tokens, said or not.

    Returns:
        What was said; else what the service's configuration says; else the file in the user's own data folder, where
        this machine has no service or this is its user.

    Raises:
        click.ClickException: a service runs here as somebody else, and nothing says where its tokens are.
    """
    source = click.get_current_context().get_parameter_source("tokens")
    if source is not None and source.name != "DEFAULT":
        return given
    if CONFIGURATION.is_file():
        from wsisam_server.cli.configuration import configuration

        settings = configuration(CONFIGURATION, {})
        if "tokens" in settings.model_fields_set and settings.tokens is not None:
            return settings.tokens
    owner = _user_id(USER)
    if owner is not None and owner != os.geteuid():
        raise click.ClickException(
            f"a server runs here as the user {USER}, and you are another: its tokens are not in your data folder. "
            f'Write tokens = "FILE" into {CONFIGURATION}, give --tokens FILE, or run: sudo -u {USER} wsisam token ...'
        )
    return given


def _user_id(name: str) -> int | None:
    try:
        import pwd
    except ImportError:  # Windows
        return None
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None
