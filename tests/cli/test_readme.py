"""The README shows what the program says."""

import re
import shlex

import click
from click.testing import CliRunner

from wsisam_server.cli import COMMANDS, main


def blocks(repository):
    """The indented code blocks."""
    text = (repository / "README.md").read_text(encoding="utf-8")
    return [
        re.sub(r"^ {4}", "", block, flags=re.MULTILINE)
        for block in re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.MULTILINE)
    ]


def test_the_commands_are_listed_as_the_program_lists_them(repository):
    shown = CliRunner().invoke(main, ["--help"], prog_name="wsisam").output
    assert shown.strip() in "\n".join(block.strip() for block in blocks(repository))


def test_every_option_that_the_readme_uses_exists(repository):
    lines = [line for block in blocks(repository) for line in block.splitlines() if line.startswith("wsisam ")]
    assert len(lines) >= 4
    for line in lines:
        words = shlex.split(line)[1:]
        assert words[0] in COMMANDS
        path, command = [], main
        while isinstance(command, click.Group):
            path.append(words.pop(0))
            command = command.get_command(click.Context(command), path[-1])
        shown = CliRunner().invoke(main, [*path, "--help"]).output
        for option in (word for word in words if word.startswith("--")):
            assert option in shown, line


def test_pictures_and_files_that_it_names_exist(repository):
    text = (repository / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http)([^)]+)\)", text):
        assert (repository / target).exists(), target
