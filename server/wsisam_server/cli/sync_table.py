"""What a sync did, as a table and lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from wsisam_server.sync.plan import Verb
from wsisam_server.sync.report import Outcome

if TYPE_CHECKING:
    from rich.console import Console

    from wsisam_server.sync.report import Report

MOST_LINES = 20
"""Of conflicts and problems; the rest is in the JSON report."""


def show(report: Report, console: Console) -> None:
    """Prints a report: a row for each image, then what somebody has to do, then the result in one line."""
    if report.images:
        console.print(_table(report))
    lines = [f"conflict {action.id}: {action.reason}" for image in report.images for action in image.conflicts]
    lines += [f"failed {image.image.name}: {text}" for image in report.images for text in image.failures]
    lines += [f"left out {image.image.name}: {text}" for image in report.images for text in image.problems]
    lines += [f"note: {text}" for text in report.notes]
    for line in lines[:MOST_LINES]:
        console.print(Text(line), soft_wrap=True)
    if len(lines) > MOST_LINES:
        console.print(f"and {len(lines) - MOST_LINES} more; --json has them all")
    console.print(Text(_result(report)), soft_wrap=True)


def _table(report: Report) -> Table:
    verbs = [verb for verb in Verb if verb is Verb.UNCHANGED or any(image.count(verb) for image in report.images)]
    held = any(image.held for image in report.images)
    title = "would be done" if report.dry_run else "done"
    table = Table(title=title, title_justify="left")
    table.add_column("image", overflow="fold")
    for name in [*(verb.value for verb in verbs), *(["waits"] if held else [])]:
        table.add_column(name, justify="right")
    table.add_column("")
    for image in report.images:
        shown = image.outcome in {Outcome.SYNCED, Outcome.PLANNED, Outcome.SKIPPED}
        counts = [str(image.count(verb) or "") if shown else "" for verb in verbs]
        if held:
            counts.append(str(image.held or ""))
        word = "" if image.outcome in {Outcome.SYNCED, Outcome.PLANNED} else image.outcome.value
        table.add_row(Text(image.image.name), *counts, word)
    return table


def _result(report: Report) -> str:
    held = sum(image.held for image in report.images)
    waits = f"; waiting for another direction: {held}" if held else ""
    if report.failed:
        return f"not in sync: what failed is named above{waits}"
    if report.conflicts:
        return (
            f"{report.conflicts} conflicts remain, and each side keeps its own. Settle them with --resolve store or "
            f"--resolve qupath, or one with --resolve qupath:UUID{waits}"
        )
    return f"nothing was changed: a dry run{waits}" if report.dry_run else f"in sync{waits}"
