"""What a sync did, as a table and lines for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from rich import box
from rich.table import Table
from rich.text import Text

from wsisam_server.annotations.sync.plan import Verb
from wsisam_server.annotations.sync.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console

    from wsisam_server.annotations.sync.plan import Action
    from wsisam_server.annotations.sync.report import ImageReport, Report

MOST_LINES: Final = 20
"""Of conflicts and problems, and of images; the rest is in the JSON report."""

_IN_PROJECT: Final = {
    Verb.ADD_TO_PROJECT: "new",
    Verb.UPDATE_IN_PROJECT: "changed",
    Verb.MERGE: "merged",
    Verb.REMOVE_FROM_PROJECT: "removed",
}
_IN_STORE: Final = {
    Verb.ADD_TO_STORE: "new",
    Verb.REVISE_IN_STORE: "changed",
    Verb.MERGE: "merged",
    Verb.DELETE_IN_STORE: "deleted",
}


def show(report: Report, console: Console) -> None:
    """Prints a report: a row for each image with something new, what somebody has to do, and the result."""
    telling = [image for image in report.images if image.outcome is not Outcome.SKIPPED]
    names = Counter(image.image.name for image in report.images)
    titles = {
        id(image): image.image.name if names[image.image.name] == 1 else f"{image.image.name} (number {image.image.id})"
        for image in report.images
    }
    if telling:
        console.print(_table(telling[:MOST_LINES], titles, dry_run=report.dry_run))
    if len(telling) > MOST_LINES:
        _print(console, f"and {_counted(len(telling) - MOST_LINES, 'more image')}; --json has them all")
    if len(report.images) > len(telling):
        _print(console, f"{_counted(len(report.images) - len(telling), 'image')} with nothing new on either side")
    lines = [_conflict(image, action, titles[id(image)]) for image in report.images for action in image.conflicts]
    lines += [f"failed {titles[id(image)]}: {text}" for image in report.images for text in image.failures]
    lines += [f"left out {titles[id(image)]}: {text}" for image in report.images for text in image.problems]
    lines += [f"deleted on both sides {titles[id(image)]}: {text}" for image in report.images for text in image.gone]
    lines += [f"note: {text}" for text in report.notes]
    for line in lines[:MOST_LINES]:
        _print(console, line)
    if len(lines) > MOST_LINES:
        _print(console, f"and {len(lines) - MOST_LINES} more; --json has them all")
    _print(console, _result(report))


def _print(console: Console, line: str) -> None:
    console.print(Text(line), soft_wrap=True)


def _table(images: list[ImageReport], titles: Mapping[int, str], *, dry_run: bool) -> Table:
    columns: dict[str, Callable[[ImageReport], str]] = {
        "to project": lambda image: _changes(image, _IN_PROJECT),
        "to store": lambda image: _changes(image, _IN_STORE),
        "conflicts": lambda image: str(len(image.conflicts) or ""),
        "waits": lambda image: str(image.held or ""),
        "same": lambda image: str(image.unchanged or ""),
    }
    shown = {name: cell for name, cell in columns.items() if any(map(cell, images))}
    table = Table(title="would be done" if dry_run else "done", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("image", overflow="fold", min_width=20)
    for name in shown:
        table.add_column(name, justify="left" if name in {"to project", "to store"} else "right", no_wrap=True)
    for image in images:
        table.add_row(Text(_name(image, titles[id(image)])), *(cell(image) for cell in shown.values()))
    return table


def _name(image: ImageReport, title: str) -> str:
    outcome = f" ({image.outcome.value})" if image.outcome in {Outcome.FAILED, Outcome.UNMATCHED} else ""
    return title + outcome


def _changes(image: ImageReport, words: Mapping[Verb, str]) -> str:
    return "\n".join(f"{number} {word}" for verb, word in words.items() if (number := image.count(verb)))


def _conflict(image: ImageReport, action: Action, title: str) -> str:
    named = action.shown.label
    saved = "" if image.saved is None else f"; QuPath's was saved {image.saved:%Y-%m-%d %H:%M} UTC"
    return f"conflict {action.id}{named and f' ({named})'} on {title}: {action.reason}{saved}"


def _result(report: Report) -> str:
    held = sum(image.held for image in report.images)
    waits = f"; {held} waiting for another direction" if held else ""
    if report.failed:
        return f"not in sync: what failed is named above{waits}"
    if report.conflicts:
        remain = "1 conflict remains" if report.conflicts == 1 else f"{report.conflicts} conflicts remain"
        return (
            f"{remain}, and each side keeps its own. Settle with --resolve store or --resolve qupath, one alone with "
            f"--resolve qupath:UUID{waits}"
        )
    unmatched = sum(image.outcome is Outcome.UNMATCHED for image in report.images)
    without = f", but for {_counted(unmatched, 'image')} without a slide" if unmatched else ""
    return f"nothing was changed: a dry run{waits}" if report.dry_run else f"in sync{without}{waits}"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
