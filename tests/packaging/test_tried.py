"""The row of a machine says what the tests ran on, and "none" of what is not there."""

import sys

import pytest

from support import tried

pytestmark = pytest.mark.process


def test_a_row_has_every_column(monkeypatch):
    monkeypatch.delenv("PAQUO_QUPATH_DIR", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    row = tried.row()
    assert tuple(row) == tried.COLUMNS
    assert row["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert (row["commit"], row["JDK"], row["QuPath"], row["GPU"]) == ("none",) * 4
    line = tried.written(row)
    assert line.count("|") == len(tried.COLUMNS) + 1
    assert "\n" not in line
    assert len({text.count("|") for text in (*tried.head().splitlines(), line)}) == 1


def test_the_qupath_that_tests_drive(tmp_path):
    folder = tmp_path / "QuPath-0.6.0"
    (folder / "lib" / "app").mkdir(parents=True)
    assert tried.qupath(str(folder)) == "0.6.0"
    (folder / "lib" / "app" / "VERSION").write_text("0.7.0\n")
    assert tried.qupath(str(folder)) == "0.7.0"


def test_make_test_writes_it_last(repository):
    (rule,) = [rule for rule in (repository / "Makefile").read_text().split("\n\n") if "\ntest:" in rule]
    assert rule.rstrip().endswith("tests/support/tried.py >> build/tried.md")
