"""The configuration of `wsisam serve`: file, environment, flags; what it prints is what it reads."""

import dataclasses
import errno
import io
import json
import socket
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from pydantic import TypeAdapter

from wsisam_server.cli import main
from wsisam_server.cli.configuration import configuration, printed
from wsisam_server.cli.configuration_page import page
from wsisam_server.cli.options import all_settings
from wsisam_server.cli.ports import why_not
from wsisam_server.cli.serve import command
from wsisam_server.core.settings import Limits, ModelChoice, PathMapping, Settings, Tls, user_data

SAID = {
    "encoder": "openvino",
    "encoder_type": "bfloat16",
    "slides": '["/data"]',
    "map": '[{"client": "Z:", "server": "/data"}]',
    "models": '["a"]',
    "insecure": "true",
    "require_tokens": "true",
    "log_hide_paths": "true",
    "log_deidentify": "true",
    "log_level": "error",
    "log_format": "json",
    "engine": "ray",
    "low_resolution": "whole",
    "dtype": "float16",
    "gpus": "7.0",
    "cpus": "7.0",
}

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
    monkeypatch.delenv("WSISAM_MODEL__ENCODER", raising=False)


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
    assert wanted.model == ModelChoice()
    assert (wanted.host, wanted.port, wanted.slides, wanted.tls) == ("127.0.0.1", 8765, (), None)
    assert wanted.store == str(user_data("annotations.sqlite"))


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
    assert wanted.map == (PathMapping("Z:\\slides", Path("/data/slides")),)


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


def test_what_depends_on_the_user_is_printed_as_not_set(tmp_path):
    """The administrator prints the file as root, and the server runs as somebody else."""
    text = printed(configuration(None, {}))
    for name in ("tokens", "store", "weights_dir", "encoder_dir"):
        assert f"#{name} =" in text.splitlines()
    assert str(user_data("")) not in text
    place = str(user_data("annotations.sqlite"))
    assert f"store = {json.dumps(place)}" in printed(configuration(None, {"store": place})).splitlines()


def test_any_limit_comes_back(tmp_path):
    limits = Limits(**{field.name: number + 1 for number, field in enumerate(dataclasses.fields(Limits))})
    again = tmp_path / "again.toml"
    again.write_text(printed(configuration(None, {"limits": dataclasses.asdict(limits)})))
    assert configuration(again, {}).limits == limits


def test_everything_is_described():
    schema = TypeAdapter(Settings).json_schema()
    for kind in (schema, *schema["$defs"].values()):
        assert all(one.get("description") for one in kind["properties"].values()), kind["title"]


def test_a_password_is_not_printed():
    wanted = configuration(None, {"store": "postgresql://lab:secret@db/annotations"})
    assert "secret" not in printed(wanted)
    assert "postgresql://lab:***@db/annotations" in printed(wanted)


def test_the_command_prints_flags_over_the_environment_over_the_file(file):
    options = [
        "--config",
        str(file()),
        "--print-config",
        "--port",
        "1",
        "--embedding-cache-bytes",
        "64MiB",
        "--map",
        r"Y:\x=/data",
    ]
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
    assert 'client = "Z:' not in done.output


def test_folders_of_slides_that_are_not_there_are_said_so(file):
    done = CliRunner().invoke(main, ["serve", "--config", str(file("slides = ['/nothing/here']"))])
    assert done.exit_code == 1
    assert "/nothing/here" in done.output


def test_rays_flags_go_into_its_section():
    options = [
        "--engine",
        "ray",
        "--ray-address",
        "auto",
        "--ray-replicas",
        "2",
        "--ray-max-replicas",
        "8",
        "--ray-gpus",
        "0.5",
    ]
    done = CliRunner().invoke(main, ["serve", *options, "--print-config"])
    assert done.exit_code == 0, done.output
    section = done.output.split("[ray]")[1].splitlines()
    assert 'engine = "ray"' in done.output.splitlines()
    for line in ('address = "auto"', "replicas = 2", "max_replicas = 8", "gpus = 0.5", "cpus = 1.0"):
        assert line in section


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--ray-replicas=0", "greater than 0"),
        ("--ray-replicas=many", "integer"),
        ("--ray-cpus=nan", "finite"),
        ("--ray-gpus=inf", "finite"),
        ("--ray-gpus=-1", "greater than or equal to 0"),
        ("--port=70000", "65535"),
        ("--model-bytes=many", "8GiB"),
        ("--map=Z:", "CLIENT_PREFIX=/server/folder"),
        ("--log-level=loud", "debug"),
        ("--models=,", "at least 1"),
    ],
)
def test_a_value_that_is_none_is_said_so(option, said):
    done = CliRunner().invoke(main, ["serve", option, "--print-config"])
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def test_the_models_options_are_settings_too(monkeypatch):
    monkeypatch.setenv("WSISAM_MODEL__DEVICE", "cuda:1")
    monkeypatch.setenv("WSISAM_MODELS", '["a", "b"]')
    done = CliRunner().invoke(main, ["serve", "--threads", "3", "--model", "our-glands", "--print-config"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    for line in ('device = "cuda:1"', "threads = 3", 'name = "our-glands"', 'models = ["a", "b"]'):
        assert line in lines


def test_every_option_is_declared_once():
    settings = list(all_settings())
    flags = [setting.flag for setting in settings if setting.flag]
    assert len(flags) == len(set(flags)) > 30
    options = {name: one for one in command.params for name in one.opts}
    assert set(options) == {*flags, "--config", "--print-config"}
    assert all(options[one.flag].help == one.info.description for one in settings if one.flag)


@pytest.mark.parametrize("setting", list(all_settings()), ids=lambda one: ".".join(one.path))
def test_each_variable_is_read(setting, monkeypatch, tmp_path):
    """What a variable says arrives in the setting whose variable it is."""
    if setting.path[0] == "tls":
        monkeypatch.setenv("WSISAM_TLS__CERTIFICATE", "a.pem")
        monkeypatch.setenv("WSISAM_TLS__KEY", "b.pem")
    value = SAID.get(setting.path[-1], "7")
    monkeypatch.setenv(setting.variable, value)
    found = configuration(None, {})
    for name in setting.path:
        found = getattr(found, name)
    assert found != setting.default
    assert str(found).lower() == value or json.loads(value)


def test_the_page_of_all_settings_is_current(repository):
    assert (repository / "docs" / "configuration.md").read_text(encoding="utf-8") == page()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("WSISAM_PROT", "9000", "WSISAM_PROT (do you mean WSISAM_PORT?)"),
        ("WSISAM_LIMITS__OPEN_SLIDE", "9", "WSISAM_LIMITS__OPEN_SLIDES"),
        ("WSISAM_SLIDES", "/data", "write it as JSON"),
        ("WSISAM_MODEL", "sam", "set WSISAM_MODEL__NAME"),
    ],
)
def test_a_variable_that_is_no_setting_ends_the_start(monkeypatch, variable, value, words):
    monkeypatch.setenv(variable, value)
    with pytest.raises(click.ClickException) as caught:
        configuration(None, {})
    assert words in caught.value.message


def test_variables_of_clients_and_of_kubernetes_are_none_of_the_servers(monkeypatch):
    for name in ("WSISAM_TOKEN", "WSISAM_TLS_CA", "WSISAM_SERVICE_HOST", "WSISAM_PORT_8765_TCP_ADDR"):
        monkeypatch.setenv(name, "anything")
    configuration(None, {})


def test_wrong_values_are_told_without_a_librarys_words(tmp_path):
    file = tmp_path / "w.toml"
    file.write_text('model = "sam"\nprot = 3\nport = "x"\n[limits]\nopen_slides = -1\n', encoding="utf-8")
    with pytest.raises(click.ClickException) as caught:
        configuration(file, {})
    said = caught.value.message
    for words in (
        "write [model] and below it name",
        "no setting prot (do you mean port?)",
        "port is 'x': write a whole number",
        "limits.open_slides is -1: it must be more than 0",
    ):
        assert words in said
    for words in ("Input should be", "Extra inputs", "keyword argument", "ModelChoice"):
        assert words not in said


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_any_shells_redirected_output_is_read(tmp_path, encoding):
    file = tmp_path / "w.toml"
    file.write_bytes('slides = ["/data/Präparate"]\nport = 9000\n'.encode(encoding))
    assert configuration(file, {}).slides == (Path("/data/Präparate"),)


def test_a_configuration_that_a_console_cannot_show_is_printed_so_that_it_can_be_read(tmp_path, monkeypatch):
    wanted = Settings(slides=(Path("/data/症例/😀"),))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))
    text = printed(wanted)
    monkeypatch.undo()
    assert text.isascii()
    (tmp_path / "w.toml").write_text(text, encoding="ascii")
    assert configuration(tmp_path / "w.toml", {}).slides == wanted.slides


def test_why_a_port_cannot_be_listened_on():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "another server" in why_not("127.0.0.1", taken.getsockname()[1])
    assert "no address of this machine" in why_not("192.0.2.1", 8765)
    assert "no address is known" in why_not("no-such-computer.invalid", 8765)
    assert why_not("127.0.0.1", 0) == ""


def test_a_port_of_the_systems_own_is_told(monkeypatch):
    def refused(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refused)
    assert "below 1024" in why_not("127.0.0.1", 443)
