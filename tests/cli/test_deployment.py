"""The files of docs/deploy name only what the program has."""

import configparser
import shlex

import pytest

from wsisam_server.cli.configuration import PREFIX, Configuration
from wsisam_server.cli.serve import command
from wsisam_server.weights.place import VARIABLE


@pytest.fixture
def service(repository):
    class Unit(configparser.RawConfigParser):
        optionxform = staticmethod(str)

    text = (repository / "docs" / "deploy" / "wsisam.service").read_text()
    # Names may come several times; numbered, all of them are kept.
    lines = [
        f"{n:03d}{line}" if "=" in line and line[0].isalpha() else line for n, line in enumerate(text.splitlines())
    ]
    unit = Unit(delimiters=("=",))
    unit.read_string("\n".join(lines))
    return [(name[3:], value) for name, value in unit.items("Service")]


def test_the_services_options_exist(service):
    (line,) = [value for name, value in service if name == "ExecStart"]
    program, sub_command, *options = shlex.split(line)
    assert (program.rsplit("/", 1)[-1], sub_command) == ("wsisam", "serve")
    arguments = [one if one != "/etc/wsisam/wsisam.toml" else __file__ for one in options]
    assert command.make_context("serve", arguments).params["log_format"] == "json"


def test_the_services_variables_are_read(service):
    names = [value.partition("=")[0] for name, value in service if name == "Environment"]
    known = {f"{PREFIX}{name.upper()}" for name in Configuration.model_fields} | {VARIABLE, "HOME"}
    assert len(names) > 3
    assert set(names) <= known
