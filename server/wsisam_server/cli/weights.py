"""`wsisam weights`: named models on this machine."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from wsisam_model import ModelSettings
from wsisam_server.cli.extras import need
from wsisam_server.cli.model import weights_dir_option
from wsisam_server.cli.numbers import shown
from wsisam_server.inference.weights import (
    PARTS,
    PUBLISHED,
    KnownModel,
    ModelSpec,
    Part,
    WeightsError,
    WeightsFolder,
    add,
    list_models,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

console = Console(stderr=True)

HASH_SHOWN = 12
"""Digits of a weights hash that tell models apart for people."""


@click.group("weights")
def command() -> None:
    """List, add, remove and verify named models.

    A named model is chosen by --model NAME, or by a client of a running server, which sees it without a restart.

    Example: wsisam weights add sam-vit-b
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@weights_dir_option
def list_command(*, as_json: bool, weights_dir: Path) -> None:
    """List the models that can be chosen by name.

    Example: wsisam weights list
    """
    folder = WeightsFolder(weights_dir)
    try:
        known = list_models(folder)
    except WeightsError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(model) for model in known], indent=1))
        return
    for model in known:
        click.echo(_described(model))
    names = {model.name for model in known}
    by_name = [name for name, published in PUBLISHED.items() if name not in names and not published.with_papers_files]
    if by_name:
        click.echo(f"\nCan be downloaded by name (wsisam weights add NAME): {', '.join(by_name)}")
    click.echo(f"Models that were added lie in {folder.path}")


@command.command("add")
@click.argument("name")
@click.option("--sam", metavar="FILE|URL", help="SAM checkpoint: MobileSAM, LiteMedSAM, ViT-B, L or H.")
@click.option("--high", metavar="FILE|URL", help="WSI-SAM's high-resolution decoder, net_high.pth.")
@click.option("--low", metavar="FILE|URL", help="WSI-SAM's low-resolution decoder, net_low.pth; with --high.")
@click.option("--additions", metavar="FILE|URL", help="What `wsisam train` made, in place of --high and --low.")
@click.option("--base", metavar="MODEL", help="In place of --sam: use the frozen SAM of this model.")
@click.option("--licence", metavar="TEXT", help="Licence of the weights, an SPDX expression if there is one.")
@click.option("--source", metavar="TEXT", help="Where they come from, for people.")
@click.option(
    "--sha256",
    "checksums",
    metavar="[PART=]HEX",
    multiple=True,
    help="What a file must have; with PART (sam, high, low, additions) if several are given. Repeatable.",
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help=f"How the model is used: {', '.join(field.name for field in dataclasses.fields(ModelSettings))}. Repeatable.",
)
@click.option("--link", is_flag=True, help="Leave local files where they are instead of copying them.")
@weights_dir_option
def add_command(
    *,
    name: str,
    licence: str | None,
    source: str | None,
    base: str | None,
    checksums: tuple[str, ...],
    settings: tuple[str, ...],
    link: bool,
    weights_dir: Path,
    **files: str | None,
) -> None:
    """Add a model under a name.

    Files are copied, or downloaded; all are loaded once before the model can be seen. These need no files:
    mobile-sam, sam-vit-b, sam-vit-l, sam-vit-h, and for nuclei patho-sam-vit-b, patho-sam-vit-l, patho-sam-vit-h.

    Example: wsisam weights add sam-vit-b

    Example: wsisam weights add wsisam-tiny --sam mobile_sam.pt --high net_high.pth --low net_low.pth

    Example: wsisam weights add our-glands --additions run/best/additions.safetensors
    """
    need("server", "wsisam weights add")
    origins: dict[Part, str] = {part: given for part in PARTS if (given := files[part]) is not None}
    spec = ModelSpec(
        name,
        origins,
        checksums=_checksums(checksums, origins),
        base=base,
        licence=licence,
        source=source,
        settings=dict(map(_setting, settings)),
        link=link,
    )
    published = PUBLISHED.get(name)
    if published is not None and "sam" not in origins and base is None:
        click.echo(f"{published.url}: weights of {published.source}, licence {published.licence}")
    try:
        with _Bars() as bars:
            record = add(WeightsFolder(weights_dir), spec, bars)
    except WeightsError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"added {name}: {record.description}, weights {record.weights_hash[:HASH_SHOWN]}")
    click.echo(f"Use it: wsisam serve --model {name}, or let clients of a running server ask for it by its name")


@command.command("remove")
@click.argument("name")
@weights_dir_option
def remove_command(*, name: str, weights_dir: Path) -> None:
    """Remove a model. Files that were linked stay where they are.

    Example: wsisam weights remove our-glands
    """
    try:
        WeightsFolder(weights_dir).remove(name)
    except WeightsError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"removed {name}")


@command.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@weights_dir_option
def verify_command(*, names: tuple[str, ...], weights_dir: Path) -> None:
    """Check models: each file against its checksum, then by loading them. Exit status 1 if something is wrong.

    Example: wsisam weights verify
    """
    need("server", "wsisam weights verify")
    failed = False
    try:
        with console.status("reading"):
            for finding in verify(WeightsFolder(weights_dir), names):
                failed |= finding.state != "ok"
                click.echo(f"{finding.state:8s}{finding.name}: {finding.text}")
    except WeightsError as error:
        raise click.ClickException(str(error)) from error
    if failed:
        raise click.exceptions.Exit(1)


class _Bars:
    """Shows how far each file is."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks = {part: self._bars.add_task(part, total=None, visible=False) for part in PARTS}
        self._check = self._bars.add_task("loading it once", total=None, visible=False)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def fetching(self, part: Part, done: int, total: int | None) -> None:
        """See `AddListener`."""
        self._bars.update(self._tasks[part], completed=done, total=total, visible=True)

    def checking(self) -> None:
        """See `AddListener`."""
        self._bars.update(self._check, visible=True)


def _described(model: KnownModel) -> str:
    title = f"{model.name} (built in)" if model.built_in else model.name
    if model.problem:
        return f"{title}\n    cannot be used: {model.problem}"
    facts = [
        f"weights {model.weights_hash[:HASH_SHOWN]}",
        f"{shown(model.nbytes)} in memory",
        f"licence {model.licence or 'unknown'}",
        *([f"from {model.source}"] if model.source else []),
        *([f"added {model.added}"] if model.added else []),
    ]
    return f"{title}\n    {model.description}\n    {', '.join(facts)}"


def _checksums(given: Sequence[str], origins: Mapping[Part, str]) -> dict[Part, str]:
    found: dict[Part, str] = {}
    for text in given:
        named, equals, value = text.rpartition("=")
        parts = [part for part in PARTS if part == named] if equals else list(origins)
        if len(parts) != 1:
            raise click.UsageError(f"--sha256 {text}: say which file it is of, as PART=HEX: {', '.join(PARTS)}")
        found[parts[0]] = value.lower()
    return found


def _setting(text: str) -> tuple[str, bool | int]:
    name, equals, value = text.partition("=")
    defaults = {field.name: field.default for field in dataclasses.fields(ModelSettings)}
    if not equals or name not in defaults:
        raise click.UsageError(f"--set {text}: write KEY=VALUE with one of {', '.join(defaults)}")
    if isinstance(defaults[name], bool):
        return name, click.BOOL.convert(value, None, None)
    if not value.isdecimal():
        raise click.UsageError(f"--set {text}: {value!r} is no number")
    return name, int(value)
