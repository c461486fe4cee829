"""The error of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class DatasetError(Exception):
    """A manifest or one of its files cannot be used.

    Attributes:
        file: the manifest, image or mask at fault.
        line: line of the manifest, counted from 1 with the header; None when no single line is at fault.
        problem: what is wrong and what to do about it.
    """

    def __init__(self, file: Path, line: int | None, problem: str) -> None:
        self.file = file
        self.line = line
        self.problem = problem
        where = "" if line is None else f"row at line {line}: "
        super().__init__(f"{where}{file}: {problem}")
