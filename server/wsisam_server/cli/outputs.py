"""Files that a command will write: whether it can is found out before its work, and they are whole or not there.

Texts may go to standard output instead ("-"). Nothing else goes there then: what the command says otherwise, and what
any library prints, goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click

from wsisam_server.core.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

STANDARD_OUTPUT: Final = Path("-")

PICTURES: Final = (".png", ".jpg", ".jpeg")
"""How the names of pictures may end."""

_TAKEN: Final = "wsisam.standard_output"


class OutputFile(click.Path):
    """A file that is to be written; refused where that can be seen not to work.

    Args:
        text: it may also be "-", standard output; see `write_text`.
        endings: of its name, one of which it must have; any if not given.
    """

    def __init__(self, *, text: bool = False, endings: Sequence[str] = ()) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)
        self._text = text
        self._endings = tuple(endings)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click.ParamType."""
        if str(value) == "-":
            return self._standard_output(param, ctx)
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        folder = path.parent
        if not folder.is_dir():
            self.fail(f"{path} cannot be written: there is no folder {folder}. Make it first", param, ctx)
        if not os.access(folder, os.W_OK | os.X_OK):
            self.fail(f"{path} cannot be written: you may not write into the folder {folder}", param, ctx)
        if self._endings and path.suffix.lower() not in self._endings:
            self.fail(f"{path}: the name must end in one of {', '.join(self._endings)}", param, ctx)
        return path

    def _standard_output(self, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not self._text:
            self.fail("'-' (standard output) is for texts only: name a file", param, ctx)
        if ctx is not None:
            if _TAKEN in ctx.meta:
                self.fail("only one result can go to standard output ('-'): name a file for the other", param, ctx)
            ctx.meta[_TAKEN] = sys.stdout.buffer
            # Whatever is printed, by whomever: a program reads what comes there.
            ctx.with_resource(redirect_stdout(sys.stderr))
        return STANDARD_OUTPUT


class OutputPlace(OutputFile):
    """A file or "-" as `OutputFile` has it, or a folder that is there."""

    def __init__(self) -> None:
        super().__init__(text=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click.ParamType."""
        path = Path(value)
        return path if path.is_dir() else super().convert(value, param, ctx)


def write_text(path: Path, text: str) -> None:
    """Writes a result, to a file whole or not at all, or to standard output.

    Args:
        path: the value of an `OutputFile`.
        text: all of it; a line end is added where it has none.

    Raises:
        click.ClickException: it cannot be written; the text names the file and the cause.
    """
    write(path, (text if text.endswith("\n") else f"{text}\n").encode())


def write_json(path: Path, value: Any, *, indent: int | None = None) -> None:
    """As `write_text`, of a value as JSON in ASCII, so that no console's encoding matters."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False))


def write(path: Path, data: bytes) -> None:
    """As `write_text`, of bytes as they are."""
    if path == STANDARD_OUTPUT:
        stream: BinaryIO = click.get_current_context().meta[_TAKEN]
        stream.write(data)
        stream.flush()
        return
    try:
        write_whole(path, data)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror or error}") from error
