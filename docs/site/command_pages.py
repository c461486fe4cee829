"""The page of the commands: what `--help` says of each, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wsisam_server.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """# Commands

What `wsisam COMMAND --help` says, of every command. This page is generated from the program.

Exit status: 0 done, 1 failed, 2 wrong usage, 130 ended by Ctrl+C. `sync` has statuses of its own
([Sync a QuPath project](../sync.md)).
"""

WIDTH = 100
"""Columns of the help."""


def page() -> str:
    """The page, as Markdown."""
    return "\n".join([HEAD, *_sections(main, "wsisam", None)]) + "\n"


def _sections(command: click.Command, path: str, parent: click.Context | None) -> Iterator[str]:
    *before, name = path.split()
    context = click.Context(command, info_name=name, parent=parent)
    context.max_content_width = context.terminal_width = WIDTH
    level = "##" if len(before) <= 1 else "###"
    yield f"{level} {path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    if isinstance(command, click.Group):
        for one in command.list_commands(context):
            inner = command.get_command(context, one)
            if inner is not None and not inner.hidden:
                yield from _sections(inner, f"{path} {one}", context)
