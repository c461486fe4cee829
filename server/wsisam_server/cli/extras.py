"""The optional parts of the installation, and what a command says where one is missing.

The base install is light: client, store, sync's plan, slides and the commands that ask a server. pyproject.toml
declares what each extra brings.
"""

from __future__ import annotations

import importlib.util
from typing import Final, Literal, TypeAlias

import click

Extra: TypeAlias = Literal["server", "train"]

_SERVER: Final = (
    "torch",
    "torchvision",
    "timm",
    "segment_anything",
    "safetensors",
    "scipy",
    "contourpy",
    "grpc_reflection",
    "pooch",
)

MODULES: Final[dict[Extra, tuple[str, ...]]] = {"server": _SERVER, "train": (*_SERVER, "matplotlib", "tensorboard")}
"""What is imported of each extra. Those of `postgres`, `sync`, `ray` and `otel` are missed where they are imported."""

SHOWN: Final = 3
"""Missing modules that are named."""

_BRINGS: Final[dict[Extra, str]] = {"server": "the model's packages", "train": "the packages for training"}


def need(extra: Extra, what: str) -> None:
    """Passes where an extra is installed. Imports nothing.

    Args:
        extra: its name.
        what: needs it, as people call it.

    Raises:
        click.ClickException: it is not; the text says how to install it, in one line.
    """
    gone = missing(extra)
    if gone:
        shown, more = ", ".join(gone[:SHOWN]), ", ..." if len(gone) > SHOWN else ""
        raise click.ClickException(
            f'{what} needs {_BRINGS[extra]}: pip install ".[{extra}]" in the project\'s folder '
            f"(missing here: {shown}{more})"
        )


def missing(extra: Extra) -> list[str]:
    """The modules of an extra that cannot be imported."""
    return [name for name in MODULES[extra] if not _is_there(name)]


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
