"""The page of the contract, from the protos: their comments are the text.

It reads what our protos are written like: a comment stands above what it is about, one declaration a line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD = """# The contract

Package `wsisam.v1`, generated from the files in `protos/wsisam/v1`: their comments are the text. Every coordinate
is in level-0 pixels. [Troubleshooting](../troubleshooting.md) says what to do about each error reason.
"""

OPENS = re.compile(r"^(service|message|enum|oneof) (\w+) \{(\})?$")
METHOD = re.compile(r"^rpc (\w+)\((.+?)\) returns \((.+?)\);$")
FIELD = re.compile(r"^((?:optional |repeated )?[\w.]+|map<.+?>) (\w+) = (\d+)(?: \[.*\])?;$")
VALUE = re.compile(r"^(\w+) = (\d+);$")
IGNORED = ("syntax ", "package ", "import ", "option ")
ALIGNED = re.compile(r"^( {2,}\S|.*\S {2,}\S)")
"""A line of a comment whose columns mean something: a table, or what belongs to its row."""


class Member(NamedTuple):
    """A field of a message, or a value of an enum."""

    name: str
    type: str
    number: str
    comment: list[str]


def page(protos: Path) -> str:
    """The page, as Markdown.

    Args:
        protos: the folder of the protos.

    Raises:
        ValueError: a line is not understood.
    """
    names = ("segmentation", "annotations", "geometry")
    return "\n".join([HEAD, *(line for name in names for line in _file(protos / f"wsisam/v1/{name}.proto"))]) + "\n"


def _file(path: Path) -> Iterator[str]:
    yield f"## {path.name}\n"
    reader = _Reader()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            yield from reader.read(line.strip())
        except ValueError as error:
            raise ValueError(f"{path.name}, line {number}: {error}") from error


class _Reader:
    """Reads a proto line by line; each line may complete something to show."""

    def __init__(self) -> None:
        self._comment: list[str] = []
        self._inside: list[str] = []
        self._members: list[Member] = []

    def read(self, line: str) -> Iterator[str]:
        """What is to be shown now.

        Raises:
            ValueError: the line is not understood.
        """
        if line.startswith("//"):
            self._comment.append(line[2:].removeprefix(" "))
        elif opened := OPENS.match(line):
            yield from self._open(*opened.groups())
        elif line == "}":
            if self._inside.pop() != "oneof":
                yield from _table(self._members)
                self._members = []
        elif method := METHOD.match(line):
            yield f"#### {method[1]}\n\n`{method[2]}` → `{method[3]}`\n"
            yield from _text(self._taken())
        elif not line or line.startswith(IGNORED):
            yield from _text(self._taken())  # about the file, not about what follows
        else:
            self._members.append(self._member(line))

    def _open(self, kind: str, name: str, closed: str | None) -> Iterator[str]:
        if kind == "oneof":
            self._members.append(Member(name, "oneof", "", self._taken()))
        else:
            yield f"### {name}\n\n*{kind}*\n"
            yield from _text(self._taken())
        if not closed:
            self._inside.append(kind)

    def _member(self, line: str) -> Member:
        if found := FIELD.match(line):
            kind = f"one of them: {found[1]}" if self._inside[-1] == "oneof" else found[1]
            return Member(found[2], kind, found[3], self._taken())
        if found := VALUE.match(line):
            return Member(found[1], "", found[2], self._taken())
        if line.startswith("reserved "):
            return Member(line.rstrip(";"), "", "", self._taken())
        raise ValueError(line)

    def _taken(self) -> list[str]:
        comment, self._comment = self._comment, []
        return comment


def _text(comment: list[str]) -> Iterator[str]:
    """A comment as Markdown: paragraphs as they are, aligned lines as code."""
    block: list[str] = []
    code = False
    for line in [*comment, ""]:
        aligned = bool(ALIGNED.match(line))
        if block and (not line or aligned != code):
            yield from _block(block, code=code)
            block = []
        if line:
            code = aligned
            block.append(line)


def _block(lines: list[str], *, code: bool) -> Iterator[str]:
    if code:
        yield "\n".join(["```text", *(line.removeprefix("  ") for line in lines), "```\n"])
    else:
        yield _escaped("\n".join(lines)) + "\n"


def _table(members: list[Member]) -> Iterator[str]:
    if not members:
        return
    yield "| name | type | number | |\n|---|---|---|---|"
    for one in members:
        about = "<br>".join(_escaped(line) for line in _paragraphs(one.comment))
        yield f"| `{one.name}` | {f'`{one.type}`' if one.type else ''} | {one.number} | {about} |"
    yield ""


def _paragraphs(comment: list[str]) -> list[str]:
    text = "\n".join(comment).split("\n\n")
    return [" ".join(part.split()) for part in text if part.strip()]


def _escaped(text: str) -> str:
    """As a cell of a table or a paragraph; what stands in backquotes stays."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part.replace("|", "\\|")
        if part.startswith("`")
        else re.sub(r"([*_<>\[\]])", lambda found: f"\\{found[1]}", part).replace("|", "\\|")
        for part in parts
    )
