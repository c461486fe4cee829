"""`wsisam qupath`: the client jar and the scripts for QuPath."""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

import wsisam_server
from wsisam_server.cli.connection import ConnectionOptions, connection_options
from wsisam_server.client import ServerError
from wsisam_server.qupath import (
    Finding,
    QuPathFilesError,
    UserDirectory,
    check,
    find_bundle,
    find_user_directories,
    given_user_directory,
    install,
    uninstall,
    user_directory_of,
    why_not,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from wsisam_server.qupath import FileAction

SECONDS_FOR_SERVER = 5.0

_HOW_TO_SET = (
    "In QuPath it is set by Edit, Preferences, Extensions, QuPath user directory; QuPath also offers to make it when "
    "the client's jar is dropped on its window. An empty folder can be named: --qupath-user-dir DIR"
)

Result = TypeVar("Result")

_directories_option = click.option(
    "--qupath-user-dir",
    "given",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    help="QuPath's user directory; repeatable. If not given: all that are found.",
)


@click.group("qupath")
def command() -> None:
    """Install the client for QuPath, check it, or remove it.

    Example: wsisam qupath install
    """


@command.command("install")
@_directories_option
@click.option(
    "--qupath",
    "programs",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    help="A QuPath, its program or folder; repeatable. It is asked for its user directory, and makes one if need be.",
)
def install_command(*, given: tuple[Path, ...], programs: tuple[Path, ...]) -> None:
    """Copy the client jar and the scripts into QuPath's user directory, or upgrade them.

    It also notes this Python there, so that QuPath can start a server on this computer.

    Example: wsisam qupath install
    """
    bundle = _told(find_bundle)
    asked = [_told(partial(user_directory_of, program)) for program in programs]
    named = [*asked, *map(given_user_directory, map(Path.resolve, given))]
    refused = False
    for directory in named or _directories(()):
        if reason := why_not(directory.path):
            click.echo(
                f"{_name(directory)}: nothing was written, it does not look like QuPath's: {reason}. {_HOW_TO_SET}"
            )
            refused = True
            continue
        if not directory.supported:
            click.echo(f"{_name(directory)}: left as it is, for another QuPath than the client is made for")
            continue
        actions = _told(partial(install, bundle, directory.path, sys.executable))
        _report(directory, actions)
        if all(step.done == "kept" for step in actions):
            click.echo(f"  wsisam {wsisam_server.__version__} was installed already")
        else:
            click.echo("  Start QuPath again. WSI-SAM is in its menu Extensions, and a button in its tool bar.")
    if refused:
        raise click.exceptions.Exit(1)


@command.command("uninstall")
@_directories_option
def uninstall_command(*, given: tuple[Path, ...]) -> None:
    """Remove what was installed, and nothing else.

    Example: wsisam qupath uninstall
    """
    for directory in _directories(given):
        actions = _told(partial(uninstall, directory.path))
        _report(directory, actions)
        if not actions:
            click.echo("  nothing is installed there")


@command.command("check")
@_directories_option
@click.option("--server", default="127.0.0.1:8765", show_default=True, help="HOST:PORT of the server to ask.")
@connection_options
def check_command(*, given: tuple[Path, ...], server: str, connection: ConnectionOptions) -> None:
    """Tell whether QuPath, client and server fit together. Exit status 1 when something does not.

    Example: wsisam qupath check --server gpu.lab:8765
    """
    bundle = _told(find_bundle)
    failed = False
    for directory in _directories(given):
        failed |= _say(_name(directory), _told(partial(check, bundle, directory)))
    failed |= _say(server, _server(server, connection))
    if failed:
        raise click.exceptions.Exit(1)


def _directories(given: tuple[Path, ...]) -> list[UserDirectory]:
    found = [given_user_directory(path.resolve()) for path in given] or find_user_directories()
    if not found:
        raise click.ClickException(
            "no user directory of QuPath was found: QuPath makes none until it needs one. Let it make one: "
            f"wsisam qupath install --qupath FOLDER_OF_QUPATH. {_HOW_TO_SET}"
        )
    return found


def _name(directory: UserDirectory) -> str:
    versions = f" (QuPath {', '.join(directory.versions)})" if directory.versions else ""
    return f"{directory.path}{versions}"


def _report(directory: UserDirectory, actions: Iterable[FileAction]) -> None:
    click.echo(_name(directory))
    for step in actions:
        note = f"  ({step.note})" if step.note else ""
        click.echo(f"  {step.done:9}  {step.file.relative_to(directory.path)}{note}")


def _say(name: str, findings: Iterable[Finding]) -> bool:
    """Prints findings; whether one of them does not fit."""
    failed = False
    for finding in findings:
        click.echo(f"{'ok   ' if finding.fits else 'TO DO'} {name}: {finding.text}")
        failed |= not finding.fits
    return failed


def _server(address: str, connection: ConnectionOptions) -> Iterator[Finding]:
    from wsisam_server.client import is_installed

    try:
        with connection.connect(address, timeout=SECONDS_FOR_SERVER) as client:
            about = client.about()
    except ServerError as error:
        if error.status == "UNIMPLEMENTED":
            text = "this server does not know the calls of the client: update it"
        else:
            text = f"the server does not answer ({error.text}): start it (wsisam serve), or give its --server"
        yield Finding(fits=False, text=text)
        return
    yield _release(about.server_version)
    ready = [model.name for model in about.models if is_installed(model)]
    text = f"the server answers, with {', '.join(ready)}" if ready else "no model is ready: run `wsisam doctor` there"
    yield Finding(fits=bool(ready), text=text)


def _release(server: str) -> Finding:
    """Whether a server is recent enough for this client; later ones serve earlier clients."""
    client = wsisam_server.__version__
    theirs, ours = (_numbers(version) for version in (server, client))
    if theirs is None or ours is None:
        return Finding(fits=True, text=f"server {server or 'of unknown version'}, client {client}: not compared")
    if theirs < ours:
        return Finding(fits=False, text=f"server {server} is too old for client {client}: update the server")
    return Finding(fits=True, text=f"server {server}, client {client}: they fit together")


def _numbers(version: str) -> tuple[int, int] | None:
    """The first two numbers of a release, which say what it can do; None for a version that is no release."""
    found = re.match(r"(\d+)\.(\d+)\.", version)
    return (int(found[1]), int(found[2])) if found else None


def _told(action: Callable[[], Result]) -> Result:
    try:
        return action()
    except QuPathFilesError as error:
        raise click.ClickException(str(error)) from error
