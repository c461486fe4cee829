"""What commands share that measure weights on several sets of drawn objects and write them again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

Command = TypeVar("Command", bound="Callable[..., Any]")

_OPTIONS = (
    click.argument("manifests", nargs=-1, required=True, metavar="MANIFEST...", type=click.Path(path_type=Path)),
    click.option("--split", default="val", show_default=True, help="Only the manifests' rows of this split."),
    click.option(
        "--max-objects", type=click.IntRange(1), default=40, show_default=True, help="At most, of each manifest."
    ),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all random choices."),
    click.option("--connected-parts", is_flag=True, help="The masks are binary. Each connected part is an object."),
)


def of_sets(command: Command) -> Command:
    """Adds MANIFEST..., --split, --max-objects, --seed and --connected-parts."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def additions_of(*, model: str, sam: Path | None, additions: Path | None, **_: Any) -> Path:
    """The file whose weights are measured and that is written again: --additions, or the default model's own.

    Raises:
        click.UsageError: there is none.
    """
    from wsisam_model import registry

    if additions is not None:
        return additions
    if model != registry.DEFAULT or sam is not None:
        raise click.UsageError("name the file with --additions, and its base with --model or --sam")
    return registry.resolve(model)[1].additions
