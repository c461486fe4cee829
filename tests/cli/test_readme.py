"""The commands that README and docs show are ones that the program has."""

import re
import shlex

import click
import pytest
from click.testing import CliRunner

from wsisam_server.cli import main


def pages(repository):
    docs = repository / "docs"
    return [repository / "README.md", *sorted(docs.glob("*.md")), *sorted((docs / "tutorials").glob("*.md"))]


def commands(page):
    """The lines of a page's code that run the program, as words; a line that a backslash continues is one."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            if found := re.match(r" {4,}(?:sudo -u wsisam )?(?:[A-Z_]+=\S+ +)*(wsisam [a-z-].*)$", line):
                yield shlex.split(found[1], comments=True)


@pytest.fixture
def shown():
    """Called: what `--help` says of a command that words begin with, and the words' options."""

    def ask(words):
        path, command, rest = [], main, words[1:]
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            path.append(rest[0])
            command = command.get_command(click.Context(command), rest[0])
            assert command is not None, words
            rest = rest[1:]
        said = CliRunner().invoke(main, [*path, "--help"]).output
        return said, [word for word in rest if word.startswith("--")]

    return ask


def test_every_option_that_a_page_uses_exists(repository, shown):
    for page in pages(repository):
        for words in commands(page):
            said, options = shown(words)
            for option in options:
                assert re.search(rf"{option}\b", said), (page.name, words)


def test_commands_are_found(repository):
    assert sum(1 for page in pages(repository) for _ in commands(page)) > 80
    assert len([*commands(repository / "README.md")]) >= 4


def test_the_readme_is_short(repository):
    assert len((repository / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_pictures_and_files_that_it_names_exist(repository):
    text = (repository / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (repository / target).exists(), target
