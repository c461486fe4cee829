"""Parts of a measurement that share a fixed time: each stops when its share is over, and none ends the others.

What a part found is on the disk as soon as it is known, so that a run which is cut keeps it. Knows no model.
"""

from __future__ import annotations

import importlib
import json
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wsisam_server.core.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

Row = dict[str, Any]
"""One line of a part's table: cells by column."""

FAILED = "failed"
"""The column that says why there are no numbers."""


PATIENCE = 0.5
"""How much more than its share of the time a part may take until a call that does not return is broken off."""
LEAST_PATIENCE = 5.0
"""Seconds: the same for shares of next to nothing."""


class TimeIsUpError(Exception):
    """Ends work that asks nobody whether it may go on."""


class Deadline:
    """A time that will be over.

    Args:
        seconds: from now.

    Attributes:
        cut: whether something was left undone because of it.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.cut = False

    @property
    def left(self) -> float:
        """Seconds; 0 when it is over."""
        return max(self._end - time.monotonic(), 0.0)

    def each(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items, until it is over. The first one is always given: a part without a number says nothing."""
        for number, item in enumerate(items):
            if number and not self.left:
                self.cut = True
                return
            yield item

    def shares(self, items: Sequence[Any]) -> Iterator[tuple[Any, Deadline]]:
        """Each item with its share of what is left then."""
        for number, item in enumerate(items):
            share = Deadline(self.left / (len(items) - number))
            yield item, share
            self.cut = self.cut or share.cut


@dataclass(frozen=True)
class Part:
    """One part.

    Attributes:
        name: for the command line.
        title: for people.
        share: of the time, in any unit; what a part leaves over goes to those after it.
        rows: measures, until the deadline is over.
        needs_data: whether it is left out without manifests.
    """

    name: str
    title: str
    share: float
    rows: Callable[[Any, Deadline], Iterable[Row]]
    needs_data: bool = False


@dataclass
class Report:
    """What was found, in OUT.json and OUT.md.

    Attributes:
        path: of both files, without an ending.
        about: the machine and the conditions.
        parts: by name: title, rows, notes.
    """

    path: Path
    about: dict[str, Any]
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def begin(self, part: Part) -> None:
        """Opens the section of a part."""
        self.parts[part.name] = {"title": part.title, "rows": [], "notes": []}

    def add(self, part: Part, row: Row) -> None:
        """Adds a row, and writes all there is."""
        self.parts[part.name]["rows"].append(row)
        self.write()

    def note(self, part: Part, text: str) -> None:
        """Adds a sentence below a part's table, and writes all there is."""
        self.parts[part.name]["notes"].append(text)
        self.write()

    def write(self) -> None:
        """Writes both files, each whole."""
        content = {"about": self.about, "parts": self.parts}
        write_whole(self.path.with_name(f"{self.path.name}.json"), (json.dumps(content, indent=1) + "\n").encode())
        write_whole(self.path.with_name(f"{self.path.name}.md"), self.markdown().encode())

    def markdown(self) -> str:
        """The tables."""
        lines = ["# What was measured", ""]
        lines += [*(f"- {name}: {value}" for name, value in self.about.items()), ""]
        for part in self.parts.values():
            lines += [f"## {part['title']}", ""]
            columns = list(dict.fromkeys(column for row in part["rows"] for column in row))
            if columns:
                lines += [_line(columns), "|" + "---|" * len(columns)]
                lines += [_line([_cell(row.get(column)) for column in columns]) for row in part["rows"]]
                lines.append("")
            for text in part["notes"]:
                lines += [text, ""]
        return "\n".join(lines).rstrip() + "\n"


def run(parts: Sequence[Part], setting: Any, minutes: float, report: Report, *, has_data: bool) -> None:
    """Runs parts one after the other, each within its share of the minutes.

    Args:
        parts: in their order.
        setting: what each part's `rows` is given.
        minutes: of all together.
        report: gets the rows.
        has_data: whether there are manifests.
    """
    whole = Deadline(60 * minutes)
    coming = [part for part in parts if has_data or not part.needs_data]
    for part in parts:
        report.begin(part)
        if part not in coming:
            report.note(part, "Left out: it needs manifests (`--data`).")
            continue
        weight = part.share / sum(other.share for other in coming[coming.index(part) :])
        deadline, started = Deadline(whole.left * weight), time.monotonic()
        print(f"--- {part.title}: {deadline.left:.0f} s", flush=True)
        try:
            with _breaking_off(deadline.left):
                for row in part.rows(setting, deadline):
                    print(", ".join(f"{column} {_cell(value)}" for column, value in row.items()), flush=True)
                    report.add(part, row)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever ends a part must not end the others
            report.add(part, {FAILED: reason(error)})
        if deadline.cut:
            report.note(part, "Stopped when its share of the time was over: what is missing was not measured.")
        report.note(part, f"{time.monotonic() - started:.0f} s.")


def later(module: str, name: str) -> Callable[[Any, Deadline], Iterable[Row]]:
    """A function that is imported when its part runs: what it lacks on this machine ends that part alone."""

    def rows(setting: Any, deadline: Deadline) -> Iterable[Row]:
        found: Iterable[Row] = getattr(importlib.import_module(module), name)(setting, deadline)
        return found

    return rows


@contextmanager
def _breaking_off(share: float) -> Iterator[None]:
    """Raises `TimeIsUpError` in the middle of what takes far longer than its share, and again if it goes on.

    Where the system has no timer (Windows), such a call keeps the parts after it waiting.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return

    def raising(*_: object) -> None:
        raise TimeIsUpError("it was broken off, its time long over")

    patience = max(PATIENCE * share, LEAST_PATIENCE)
    handler = signal.signal(signal.SIGALRM, raising)
    timer = signal.setitimer(signal.ITIMER_REAL, share + patience, patience)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)


def attempt(row: Row, measure: Callable[[], Row]) -> Row:
    """The row with what `measure` finds, or with the reason why it finds nothing."""
    try:
        return row | measure()
    except Exception as error:  # noqa: BLE001 - out of memory, an unsupported number type: the next row may do
        return row | {FAILED: reason(error)}


def reason(error: BaseException) -> str:
    """An error as one line of a table."""
    first = next(iter(str(error).splitlines()), "").replace("|", "/")
    return f"{type(error).__name__}: {first}"[:160]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1 else f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
