"""The files of docs/deploy name only what the program has."""

import configparser
import json
import re
import shlex

import pytest

from wsisam_server.cli.configuration import PREFIX, Configuration
from wsisam_server.cli.serve import command
from wsisam_server.inference.weights.place import VARIABLE

KNOWN = {f"{PREFIX}{name.upper()}" for name in Configuration.model_fields} | {VARIABLE}


def understood(options):
    """The options of `wsisam serve`, read by the program."""
    arguments = [one if one != "/etc/wsisam/wsisam.toml" else __file__ for one in options]
    return command.make_context("serve", arguments).params


def instructions(text, *names):
    """What follows these instructions of a Containerfile."""
    return [line.partition(" ")[2] for name in names for line in text.splitlines() if line.startswith(f"{name} ")]


@pytest.fixture
def containerfile(repository):
    return (repository / "docs" / "deploy" / "Containerfile").read_text()


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
    assert understood(options)["log_format"] == "json"


def test_the_services_variables_are_read(service):
    names = [value.partition("=")[0] for name, value in service if name == "Environment"]
    assert len(names) > 3
    assert set(names) <= KNOWN | {"HOME"}


def test_the_containers_options_exist(containerfile):
    (entry,), (options,) = (json.loads(f"[{line}]") for line in instructions(containerfile, "ENTRYPOINT", "CMD"))
    assert (entry, options[0]) == (["wsisam"], "serve")
    assert understood(options[1:])["log_format"] == "json"


def test_the_containers_variables_are_read(containerfile):
    names = re.findall(rf"\b({PREFIX}\w+)=", containerfile)
    assert len(names) > 3
    assert set(names) <= KNOWN


def test_what_the_container_is_built_from_is_there(containerfile, repository):
    copied = [line.split()[:-1] for line in instructions(containerfile, "COPY") if "--from" not in line]
    sources = [source for line in copied for source in line]
    assert {"pyproject.toml", "hatch_build.py"} < set(sources)
    assert [source for source in sources if not (repository / source).exists()] == []


def test_the_containers_extras_exist(containerfile, repository):
    (extras,) = re.findall(r'"\.\[(.*)\]"', containerfile)
    project = (repository / "pyproject.toml").read_text()
    assert [extra for extra in extras.split(",") if not re.search(rf"^{extra} = \[", project, re.MULTILINE)] == []
