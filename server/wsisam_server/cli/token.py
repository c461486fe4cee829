"""`wsisam token`: who may use the server."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wsisam_server.cli import invitation
from wsisam_server.cli.options import settings_options
from wsisam_server.cli.service_files import tokens_file
from wsisam_server.service.identity import EVERY_PROJECT, Role, Token, TokenError, TokenFile

if TYPE_CHECKING:
    from collections.abc import Callable

_DAYS: Final = re.compile(r"([1-9][0-9]{0,4})d")


class _Until(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic in click 8.4
    name = "DATE|DAYSd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        now = datetime.now(timezone.utc).replace(microsecond=0)
        days = _DAYS.fullmatch(value)
        try:
            until = now + timedelta(days=int(days[1])) if days else _day(value)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a date such as 2027-01-31 nor a number of days such as 90d", param, ctx)
        if until <= now:
            self.fail(f"{value} is over", param, ctx)
        return until


def _day(value: str) -> datetime:
    return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=timezone.utc)


tokens_option = settings_options("tokens", envvar=True)
"""Adds --tokens, passed on as a path."""


@click.group("token")
def command() -> None:
    """Make, list and revoke users' tokens.

    Which file it is: --tokens, else what the service's configuration (/etc/wsisam/wsisam.toml) says, else tokens.json
    in your data folder, where a server that you start finds it.

    Example: wsisam token create anna --project colon --expires 365d
    """


@command.command("create")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.ANNOTATOR.value,
    show_default=True,
    help="reader: sees annotations. annotator: makes outlines, and annotations. admin: those of all users.",
)
@click.option(
    "--project",
    "projects",
    multiple=True,
    help="Whose annotations they see, and change unless they read only, beside their own; repeatable, '*' for all.",
)
@click.option(
    "--expires", type=_Until(), help="When it ends: 2027-01-31 (its beginning, UTC), or 90d. Never if not given."
)
@click.option(
    "--invite",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write an invitation for QuPath, such as anna.wsisam: address, certificates and token in one file.",
)
@click.option("--server", default="", help="With --invite: the server's address for QuPath, https://HOST:PORT.")
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --invite: the lab's certificate authority (PEM), where computers do not know it anyway.",
)
@tokens_option
def create_command(
    *,
    name: str,
    role: str,
    projects: tuple[str, ...],
    expires: datetime | None,
    invite: Path | None,
    server: str,
    ca: Path | None,
    tokens: Path,
) -> None:
    """Make a token for the user NAME, and print it. It cannot be shown again.

    A user may have several. A running server knows a new one at once.

    Example: wsisam token create anna --project colon
    """
    if Role(role) is Role.READER and not projects:
        raise click.UsageError("a reader without a project sees nothing; give --project NAME, or --project '*' for all")
    if invite is None and (server or ca):
        raise click.UsageError("--server and --ca go into an invitation: give --invite FILE")
    if invite is not None:
        _invite(invite, server, invitation.certificates_in(ca), lambda: _create(name, role, projects, expires, tokens))
        return
    token, secret = _create(name, role, projects, expires, tokens)
    click.echo(f"{_line(token)}\nGive it to them, and nobody else; it is not shown again:", err=True)
    click.echo(secret)


def _create(
    name: str, role: str, projects: tuple[str, ...], expires: datetime | None, tokens: Path
) -> tuple[Token, str]:
    file = tokens_file(tokens)
    try:
        made = TokenFile(file).create(name, Role(role), frozenset(projects), expires)
    except TokenError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"in {file}:", err=True)
    return made


def _invite(file: Path, server: str, certificates: str, create: Callable[[], tuple[Token, str]]) -> None:
    if not server:
        raise click.UsageError("an invitation names the server: give --server https://HOST:PORT")
    with invitation.reserved(file):
        token, secret = create()
        whose = token.user.name
        invitation.write(
            file, server=server, user=whose, token=secret, expires=token.expires, certificates=certificates
        )
    until = "until the token ends" if token.expires else "for ever (no --expires)"
    click.echo(_line(token))
    click.echo(
        f"{file}: give it to {whose}, and nobody else. Dropped on QuPath's window, it connects. Whoever has it is "
        f"{whose}, {until} or is revoked: wsisam token revoke {token.id}",
        err=True,
    )


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@tokens_option
def list_command(*, as_json: bool, tokens: Path) -> None:
    """List the tokens: whose, what for, until when.

    Example: wsisam token list
    """
    tokens = tokens_file(tokens)
    try:
        known = TokenFile(tokens).tokens()
    except TokenError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps([_shown(token) for token in known], indent=1, ensure_ascii=False))
        return
    if known:
        click.echo(f"in {tokens}:", err=True)
    for token in known:
        click.echo(_line(token))
    if not known:
        click.echo(f"there are no tokens in {tokens}. Make one: wsisam token create NAME", err=True)


@command.command("revoke")
@click.argument("token_or_name")
@tokens_option
def revoke_command(*, token_or_name: str, tokens: Path) -> None:
    """Revoke a token by its id, or all tokens of a user by their name.

    A running server refuses it from then on, and ends its open streams within a second.

    Example: wsisam token revoke anna
    """
    tokens = tokens_file(tokens)
    try:
        revoked = TokenFile(tokens).revoke(token_or_name)
    except TokenError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"in {tokens}:", err=True)
    for token in revoked:
        click.echo(f"revoked: {_line(token)}")


def _shown(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.user.name,
        "role": token.user.role.value,
        "projects": sorted(token.user.projects),
        "created": token.created.isoformat(),
        "expires": None if token.expires is None else token.expires.isoformat(),
        "expired": token.expired(datetime.now(timezone.utc)),
    }


def _line(token: Token) -> str:
    projects = "all projects" if EVERY_PROJECT in token.user.projects else ", ".join(sorted(token.user.projects))
    whose = "everything" if token.user.role is Role.ADMIN else projects or "no project"
    end = "never expires" if token.expires is None else f"until {token.expires:%Y-%m-%d %H:%M} UTC"
    over = " (EXPIRED)" if token.expired(datetime.now(timezone.utc)) else ""
    return f"{token.id}  {token.user.name}  {token.user.role.value}  {whose}  {end}{over}"
