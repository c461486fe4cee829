"""What CONTRIBUTING.md and SECURITY.md tell people to run and to open is there."""

import re

import pytest

FILE = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|toml|xml|json|txt)|(?:[\w.-]+/)+[\w.-]*)`")
PLACES = ("", "server/wsisam_server")
MADE = {"dist/", "0004-0.3.0"}
"""What is there only after something was run."""


@pytest.fixture(params=["CONTRIBUTING.md", "SECURITY.md", "examples/README.md"])
def text(request, repository):
    return (repository / request.param).read_text(encoding="utf-8")


def test_targets_exist(repository, text):
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)\b(?=[`\s])", "\n".join(_code(text)))) <= targets


def test_files_exist(repository, text):
    named = {name for name in FILE.findall(text) if name not in MADE and "X.Y" not in name}
    missing = [name for name in named if not any((repository / place / name).exists() for place in PLACES)]
    # In the same paragraph as its folder, a module is named alone.
    alone = {path.name for folder in ("server", "tests", "release") for path in (repository / folder).rglob("*.py")}
    assert sorted(name for name in missing if name not in alone) == []


def test_it_names_something(repository):
    text = (repository / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(FILE.findall(text)) > 20
    assert len(re.findall(r"\bmake [a-z]+", "\n".join(_code(text)))) > 10


def _code(text):
    """What stands in backticks or is indented."""
    yield from (f"{span}`" for span in re.findall(r"`([^`\n]+)`", text))
    yield from re.findall(r"^ {4}.*\n", text, re.MULTILINE)
