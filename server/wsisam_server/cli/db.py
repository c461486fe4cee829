"""`wsisam db`: the annotation store's upgrade, check and backup, and what follows a restore."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from rich.console import Console
from rich.progress import Progress

from wsisam_server.annotations.store import StoreError, chain, store_name
from wsisam_server.cli.store import store_option

if TYPE_CHECKING:
    from collections.abc import Callable

console = Console(stderr=True)

Result = TypeVar("Result")


@click.group("db")
def command() -> None:
    """Upgrade, check and back up the annotation store.

    Example: wsisam db backup annotations-monday.sqlite
    """


@command.command("upgrade")
@store_option
def _upgrade(*, store: str) -> None:
    """Bring a store of an older wsisam to this one's form. Make a backup first.

    Example: wsisam db upgrade
    """
    from wsisam_server.annotations.store import upkeep

    before, after = _explained(lambda: upkeep.upgrade(store))
    name = store_name(store)
    click.echo(f"{name} is at {after} already" if before == after else f"{name}: from {before} to {after}")


def _kept(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, bytes] | None:
    if value is None:
        return None
    number, _, digest = value.partition(":")
    problem = click.BadParameter("write it as an earlier check did: NUMBER:DIGEST", context, parameter)
    try:
        kept = int(number), bytes.fromhex(digest)
    except ValueError as error:
        raise problem from error
    if len(kept[1]) != len(chain.START):
        raise problem
    return kept


@command.command("check")
@store_option
@click.option(
    "--kept",
    metavar="NUMBER:DIGEST",
    callback=_kept,
    help="The newest digest of an earlier check: the history up to there must still be the same.",
)
def _check(*, store: str, kept: tuple[int, bytes] | None) -> None:
    """Read everything in a store, and say what is wrong. Exit status 1 when something is.

    The server may run meanwhile. The newest digest stands for the whole history: keep it somewhere else, and a later
    check with --kept tells whether anything up to there was changed, even by somebody who hid it well.

    Example: wsisam db check
    """
    from wsisam_server.annotations.store import upkeep

    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("checking", total=None)
        summary = _explained(
            lambda: upkeep.check(store, lambda done, total: bar.update(task, completed=done, total=total), kept)
        )
    click.echo(
        f"{summary.where}: {summary.annotations} annotations, {summary.deleted} deleted, {summary.revisions} revisions"
    )
    for problem in summary.problems:
        click.echo(f"PROBLEM {problem}")
    if summary.problems:
        raise click.ClickException(
            "the store is damaged, or was changed by hand: stop the server and restore the last backup"
        )
    click.echo("no problems")
    if summary.newest:
        click.echo(f"newest digest: {summary.newest}")


@command.command("backup")
@click.argument("target", type=click.Path(path_type=Path))
@store_option
def _backup(*, target: Path, store: str) -> None:
    """Copy a store, whole and consistent, to a new file. The server may run meanwhile.

    The copy is a store by itself: to restore it, stop the server, put it in the store's place, remove the files beside
    that end in -wal and -shm, run 'wsisam db restored', and start the server.

    Example: wsisam db backup annotations-monday.sqlite
    """
    from wsisam_server.annotations.store import upkeep

    _explained(lambda: upkeep.backup(store, target))
    click.echo(f"{store_name(store)} is copied to {target}")


@command.command("restored")
@store_option
def _restored(*, store: str) -> None:
    """Tell clients of a store that was put back from a backup that it is another one. Stop the server first.

    Changes that were made after the backup are lost, and their numbers are given out again. Without this, a client that
    was away would go on from such a number and miss what has it now; with it, it lists everything anew.

    Example: wsisam db restored --store /var/lib/wsisam/annotations.sqlite
    """
    from wsisam_server.annotations.store import upkeep

    identity = _explained(lambda: upkeep.restored(store))
    click.echo(f"{store_name(store)} is store {identity} now: clients list everything anew")


def _explained(call: Callable[[], Result]) -> Result:
    try:
        return call()
    except StoreError as error:
        raise click.ClickException(str(error)) from error
