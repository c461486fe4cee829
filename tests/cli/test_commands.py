"""The commands that are not about a slide: help, doctor, serve's refusals, start and stop of the real program."""

import os
import shlex
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from click.testing import CliRunner

from support.annotations import Caller, new
from wsisam_server.annotations.store import AnnotationFilter, open_store
from wsisam_server.cli import COMMANDS, main
from wsisam_server.cli.serve import MOST_FILES
from wsisam_server.client import Client, is_installed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    done = CliRunner().invoke(main, [command, "--help"])
    assert done.exit_code == 0
    assert "Example: wsisam" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["precompute", __file__, "--downsample", "nan"],
        ["precompute", __file__, "--mpp", "inf"],
        ["everything", __file__, "--box", "0,0,9,9", "--min-size", "nan", "--max-size", "9"],
        ["segment", __file__, "--box", "0,0,9,9", "--refine", "nan"],
    ],
)
def test_a_number_that_is_none_is_refused_by_name(arguments):
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, done.exception.__class__) == (2, SystemExit)
    assert "is not a finite number" in done.output


def test_an_unknown_command_is_wrong_usage():
    assert CliRunner().invoke(main, ["nothing"]).exit_code == 2


@pytest.mark.model
def test_doctor_says_ok_line_by_line():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = CliRunner().invoke(main, ["doctor", "--port", str(port)])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    for what in ("Python", "torch", "device", "OpenSlide", "models", "annotations", f"port {port}"):
        assert any(what in line for line in lines)


@pytest.mark.model
def test_doctor_says_what_to_do_about_a_taken_port():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = CliRunner().invoke(main, ["doctor", "--port", str(other.getsockname()[1])])
    assert done.exit_code == 1
    assert "TO DO port" in done.output
    assert "--port" in done.output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--host", "0.0.0.0"], "--insecure"),
        (["--map", "Z:/slides"], "CLIENT_PREFIX="),
        (["--map", "Z:/slides=/data"], "--slides"),
        (["--map", "Z:/slides=relative"], "CLIENT_PREFIX="),
        (["--slides", "/nothing/here"], "no folder of slides /nothing/here"),
        (["--store", "mysql://lab@host/annotations"], "postgresql://"),
        (["--store", "/nothing/here/annotations.sqlite"], "no folder"),
        (["--store", __file__], "no store at all"),
        (["--model", "sam-9000"], "sam-9000"),
        (["--device", "abacus"], "cuda:N"),
        (["--device", "cuda:99"], "torch sees"),
        (["--high", __file__], "--sam"),
        pytest.param(["--sam", __file__], "test_commands.py", marks=pytest.mark.model),
    ],
)
def test_serve_refuses_with_what_to_do(arguments, text):
    done = CliRunner().invoke(main, ["serve", "--port", "0", *arguments])
    assert done.exit_code in (1, 2)
    assert text in done.output
    assert "Traceback" not in done.output


def test_python_m_serves_keeps_annotations_without_any_set_up_and_stops_on_sigterm(tmp_path):
    """They are where the user's data is, and nowhere else."""
    environment = {
        **{key: value for key, value in os.environ.items() if key != "WSISAM_STORE"},
        "HOME": str(tmp_path / "home"),
        "XDG_DATA_HOME": str(tmp_path / "home" / "data"),
    }
    command = [sys.executable, "-m", "wsisam_server", "serve", "--port", "0", "--slides", str(tmp_path)]
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"ulimit -Sn 200 && exec {shlex.join(command)}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    try:
        target = process.stdout.readline().rsplit(" ", 1)[-1].strip()
        with Client(target) as client:
            assert is_installed(client.models()[0])
        # Each connection is an open file: the server takes what it may, and not what the shell began with.
        allowed, most = psutil.Process(process.pid).rlimit(psutil.RLIMIT_NOFILE)
        assert 200 < allowed == min(most, MOST_FILES)
        caller = Caller(target)
        kept = new()
        caller.save(kept)
        caller.close()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, err
    assert "stopping" in out
    assert "Traceback" not in err
    assert "leaked" not in err
    (path,) = (tmp_path / "home").rglob("annotations.sqlite")
    assert f"annotations are kept in {path}" in err
    with open_store(str(path)) as store:
        assert str(store.listing(AnnotationFilter(), after=0, limit=1).annotations[0].id) == kept.id
