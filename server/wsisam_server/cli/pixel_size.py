"""How large a pixel is, where the slide's file does not say: the option, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wsisam_server.cli.numbers import Number
from wsisam_server.core.pixel_size import LARGEST_MPP, SMALLEST_MPP, differs

if TYPE_CHECKING:
    from wsisam.v1 import segmentation_pb2 as pb
    from wsisam_server.slides import SlideInfo

Command = TypeVar("Command", bound=Callable[..., Any])


def pixel_size_option(*names: str) -> Callable[[Command], Command]:
    """Adds an option for the pixel size of a slide; the command takes it as `slide_mpp`.

    Args:
        names: under which it is given. `--slide-mpp` is one of them in every command that needs lengths, also where
            `--mpp` is the resolution to work at.
    """

    def decorate(command: Command) -> Command:
        option = click.option(
            *names,
            "--slide-mpp",
            "slide_mpp",
            type=Number(SMALLEST_MPP, LARGEST_MPP),
            help="Microns per level-0 pixel, where the slide's file does not say; else the file's counts.",
        )
        return option(command)

    return decorate


def say_pixel_size(used: pb.PixelSize) -> None:
    """Says that what was given was not used, where the file says something else."""
    if used.HasField("ignored_mpp"):
        click.echo(_warning(used.ignored_mpp, used.mpp), err=True)


def say_if_not_square(x: float, y: float) -> None:
    """Says that lengths are inexact, where pixels are clearly wider than high, or the other way round.

    Args:
        x: microns per level-0 pixel along x, as the slide's file says.
        y: the same along y.
    """
    if differs(x, y):
        click.echo(
            f"warning: the slide's pixels are {x:g} microns wide and {y:g} high; lengths are taken with the mean, so "
            "they are inexact",
            err=True,
        )


def pixel_size_of(info: SlideInfo, given: float | None) -> float | None:
    """The pixel size to work with, in microns; says where the file's and the given one differ.

    Args:
        info: of the slide.
        given: with the option.
    """
    if info.axes is not None:
        say_if_not_square(info.axes.x, info.axes.y)
    if given is not None and differs(info.mpp, given):
        click.echo(_warning(given, info.mpp), err=True)
    return info.pixel_size(given).mpp


def _warning(given: float, of_file: float | None) -> str:
    return (
        f"warning: a pixel size of {given:g} microns was given, but the slide's file says {of_file:g}, which was used; "
        "one of them is wrong"
    )
