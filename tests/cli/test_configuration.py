"""The configuration of `wsisam serve`: file, environment, flags; what it prints is what it reads."""

import dataclasses
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from pydantic import TypeAdapter

from wsisam_server.cli import main
from wsisam_server.cli.configuration import Configuration, Mapped, configuration, printed
from wsisam_server.core.settings import Limits, Tls

FILE = r"""
host = "192.0.2.7"
port = 9000
slides = ["/data/slides"]
store = "none"
[limits]
open_slides = 3
model_bytes = "2GiB"
[tls]
certificate = "/etc/server.pem"
key = "/etc/server.key"
[[map]]
client = 'Z:\slides'
server = "/data/slides"
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.delenv("WSISAM_STORE", raising=False)
    monkeypatch.delenv("WSISAM_TOKENS", raising=False)


@pytest.fixture
def file(tmp_path):
    def write(text=FILE):
        path = tmp_path / "wsisam.toml"
        path.write_text(text)
        return path

    return write


def test_without_anything_it_is_what_the_rooms_have():
    wanted = configuration(None, {})
    assert wanted.limits == Limits()
    assert (wanted.host, wanted.port, wanted.slides, wanted.tls, wanted.store) == ("127.0.0.1", 8765, (), None, None)


def test_a_file_is_read(file):
    wanted = configuration(file(), {})
    assert (wanted.host, wanted.port, wanted.slides, wanted.store) == (
        "192.0.2.7",
        9000,
        (Path("/data/slides"),),
        "none",
    )
    assert wanted.limits == Limits(open_slides=3, model_bytes=2 * 2**30)
    assert wanted.tls == Tls(Path("/etc/server.pem"), Path("/etc/server.key"))
    assert wanted.map == (Mapped(client="Z:\\slides", server=Path("/data/slides")),)


def test_the_environment_goes_before_the_file_and_flags_before_both(file, monkeypatch):
    monkeypatch.setenv("WSISAM_PORT", "9001")
    monkeypatch.setenv("WSISAM_LIMITS__OPEN_SLIDES", "7")
    monkeypatch.setenv("WSISAM_SLIDES", '["/other"]')
    wanted = configuration(file(), {"limits": {"embedding_cache_bytes": 5}})
    assert (wanted.host, wanted.port, wanted.slides) == ("192.0.2.7", 9001, (Path("/other"),))
    assert wanted.limits == Limits(open_slides=7, model_bytes=2 * 2**30, embedding_cache_bytes=5)
    assert configuration(file(), {"port": 1, "limits": {"open_slides": 9}}).limits.open_slides == 9


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("hots = '127.0.0.1'", "hots"),
        ("port = 70000", "port"),
        ("port = 'many'", "port"),
        ("[limits]\nopen_slide = 3", "open_slide"),
        ("[limits]\nopen_slides = 0", "limits.open_slides"),
        ("[limits]\nopen_slides = -1", "limits.open_slides"),
        ("[limits]\nmodel_bytes = 'much'", "limits.model_bytes"),
        ("[limits]\nheartbeat_seconds = 0", "limits.heartbeat_seconds"),
        ("[tls]\ncertificate = 'x.pem'", "tls.key"),
        ("[[map]]\nclient = 'Z:'", "map.0.server"),
        ("log_level = 'loud'", "log_level"),
        ("port = ", "cannot be read"),
    ],
)
def test_mistakes_are_named(file, text, named):
    with pytest.raises(click.ClickException) as caught:
        configuration(file(text), {})
    assert named in caught.value.message


def test_a_variable_that_is_no_json_is_named(monkeypatch):
    monkeypatch.setenv("WSISAM_SLIDES", "/data")
    with pytest.raises(click.ClickException, match="slides"):
        configuration(None, {})


def test_what_is_printed_is_read_as_the_same(file, tmp_path):
    for wanted in (configuration(None, {}), configuration(file(), {})):
        again = tmp_path / "again.toml"
        again.write_text(printed(wanted))
        assert configuration(again, {}).model_dump() == wanted.model_dump()


def test_any_limit_comes_back(tmp_path):
    limits = Limits(**{field.name: number + 1 for number, field in enumerate(dataclasses.fields(Limits))})
    again = tmp_path / "again.toml"
    again.write_text(printed(configuration(None, {"limits": dataclasses.asdict(limits)})))
    assert configuration(again, {}).limits == limits


def test_everything_is_described():
    schema = TypeAdapter(Configuration).json_schema()
    for kind in (schema, *schema["$defs"].values()):
        assert all(one.get("description") for one in kind["properties"].values()), kind["title"]


def test_a_password_is_not_printed():
    wanted = configuration(None, {"store": "postgresql://lab:secret@db/annotations"})
    assert "secret" not in printed(wanted)
    assert "postgresql://lab:***@db/annotations" in printed(wanted)


def test_the_command_prints_flags_over_the_environment_over_the_file(file):
    options = ["--config", str(file()), "--print-config", "--port", "1", "--cache-mib", "64", "--map", r"Y:\x=/data"]
    done = CliRunner(env={"WSISAM_LIMITS__OPEN_SLIDES": "7"}).invoke(main, ["serve", *options])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    for line in (
        "port = 1",
        'host = "192.0.2.7"',
        "open_slides = 7",
        f"embedding_cache_bytes = {64 * 2**20}",
        f"model_bytes = {2 * 2**30}",
        'store = "none"',
        f"client = {json.dumps('Y:' + chr(92) + 'x')}",
    ):
        assert line in lines
    assert "Z:" not in done.output


def test_folders_of_slides_that_are_not_there_are_said_so(file):
    done = CliRunner().invoke(main, ["serve", "--config", str(file("slides = ['/nothing/here']"))])
    assert done.exit_code == 1
    assert "/nothing/here" in done.output


def test_rays_flags_go_into_its_section():
    options = ["--engine", "ray", "--ray-address", "auto", "--ray-replicas", "2-8", "--ray-gpus", "0.5"]
    done = CliRunner().invoke(main, ["serve", *options, "--print-config"])
    assert done.exit_code == 0, done.output
    section = done.output.split("[ray]")[1].splitlines()
    assert 'engine = "ray"' in done.output.splitlines()
    for line in ('address = "auto"', "replicas = 2", "max_replicas = 8", "gpus = 0.5", "cpus = 1.0"):
        assert line in section


@pytest.mark.parametrize("wrong", ["0", "8-2", "many", "2-", "-3"])
def test_a_number_of_replicas_that_is_none_is_said_so(wrong):
    done = CliRunner().invoke(main, ["serve", f"--ray-replicas={wrong}", "--print-config"])
    assert done.exit_code == 2
    assert "write it as 4, or as 2-8" in done.output
