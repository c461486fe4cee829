"""What a server's process writes to standard error: JSON alone where that is wanted, and at the right level."""

import errno
import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from wsisam_server.cli import main
from wsisam_server.cli.ports import why_not
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import Limits
from wsisam_server.slides import open_slide

NOISE = """
import logging, os, threading, warnings
from wsisam_server.cli.server_log import ServerLog
from wsisam_server.core.settings import Settings

log = ServerLog(Settings(log_format="json", store="none", tokens=None))
log.say("serving on 127.0.0.1:1", err=False)
os.write(2, b"E0000 00:00:1.5  7 chttp2.cc:42] of gRPC's core\\n")
warnings.warn("of a library", stacklevel=1)
logging.getLogger("uvicorn.access").warning("of another one")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
print("printed")
raise OSError("two\\nlines")
"""


def ended(*words, **environment):
    program = [sys.executable, *words]
    return subprocess.run(
        program, check=False, capture_output=True, text=True, env=os.environ | environment, timeout=60
    )


def test_every_line_is_json_whoever_writes_it():
    done = ended("-c", NOISE)
    assert done.returncode == 1
    assert done.stdout == "printed\n"
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    said = {(line["logger"], line["level"]): line for line in lines}
    assert said["wsisam_server.cli.server_log", "info"]["message"] == "serving on 127.0.0.1:1"
    assert "of a library" in said["py.warnings", "warning"]["message"]
    assert said["uvicorn.access", "warning"]["message"] == "of another one"
    assert any("of gRPC's core" in line["message"] for line in lines if line["logger"] == "stderr")
    assert any("ZeroDivisionError" in line["message"] for line in lines if line["logger"] == "stderr")
    assert "OSError: two\nlines" in said["wsisam_server", "critical"]["error"]


@pytest.mark.parametrize(
    ("options", "variables", "says"),
    [
        (["--port", "0", "--store", "/nothing/here/s.sqlite"], {}, "no folder"),
        (["--host", "0.0.0.0"], {}, "--insecure"),
        ([], {"WSISAM_PROT": "9"}, "WSISAM_PROT"),
    ],
)
def test_a_start_that_fails_says_so_in_json_too(options, variables, says):
    done = ended("-m", "wsisam_server", "serve", "--log-format", "json", *options, **variables)
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines[-1]["level"] == "critical"
    assert says in lines[-1]["message"]
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (WsiSamServerError(Reason.STORE_FULL), "ERROR"),
        (WsiSamServerError(Reason.STORE_DAMAGED), "ERROR"),
        (WsiSamServerError(Reason.TOKENS_UNAVAILABLE), "ERROR"),
        (WsiSamServerError(Reason.MODEL_DAMAGED), "ERROR"),
        (WsiSamServerError(Reason.SLIDE_UNREADABLE, private="PermissionError(13, 'Permission denied')"), "WARNING"),
        (WsiSamServerError(Reason.SLIDE_UNAVAILABLE), "WARNING"),
        (WsiSamServerError(Reason.SLIDE_UNREADABLE, private="damaged"), "INFO"),
        (WsiSamServerError(Reason.EMPTY_PROMPT), "INFO"),
    ],
)
def test_levels_are_by_what_an_administrator_must_do(error, level, caplog):
    from wsisam_server.service.interceptors import normalized

    error.private = error.private or "the cause"
    with caplog.at_level("INFO"):
        normalized(error)
    assert [record.levelname for record in caplog.records] == [level]


@pytest.fixture
def unreadable(monkeypatch, tmp_path):
    """A slide of mode 0600 of another user, as the system refuses it; root, whom tests often are, is refused nothing."""
    from wsisam_server.slides import file

    def refused(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    path = tmp_path / "slide.svs"
    path.write_bytes(b"II*\0")
    monkeypatch.setattr(file, "_regular", refused)
    return path


def test_a_slide_of_another_user_is_not_called_damaged(unreadable):
    with pytest.raises(WsiSamServerError) as refused:
        open_slide(unreadable, Limits())
    text = refused.value.public_text
    assert refused.value.reason is Reason.SLIDE_UNREADABLE
    assert "its permissions keep the user who runs wsisam from reading it" in text
    assert "truncated" not in text
    assert "copy it" not in text
    done = CliRunner().invoke(main, ["export", "x", "--slide", str(unreadable), "--store", "s"])
    assert "its permissions keep" in done.output


def test_a_part_of_a_slide_that_openslide_may_not_read_is_told_alike():
    from wsisam_server.slides.unreadable import unreadable

    told = unreadable(OSError("Couldn't open /data/slide/Data0001.dat: Permission denied"), "slide.mrxs")
    assert "its permissions keep" in told.public_text
    assert "damaged, truncated" in unreadable(OSError("not a TIFF"), "slide.svs").public_text


@pytest.mark.parametrize(
    ("host", "says"), [("no-such-host.invalid", "no address is known"), ("203.0.113.7", "no address of this machine")]
)
def test_an_address_of_numbers_that_cannot_be_listened_on(host, says):
    assert says in why_not(host, 9464, "--metrics-port")


def test_a_taken_port_of_numbers_names_its_own_option():
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert "another --metrics-port" in why_not("127.0.0.1", other.getsockname()[1], "--metrics-port")


def test_an_unknown_variable_is_told_by_every_command(monkeypatch, tmp_path):
    monkeypatch.setenv("WSISAM_TOKNES", "x")
    done = CliRunner().invoke(main, ["token", "list", "--tokens", str(tmp_path / "t.json")])
    assert "no setting for the variable WSISAM_TOKNES (do you mean WSISAM_TOKENS?)" in done.stderr


@pytest.mark.parametrize(
    "words",
    [["token", "list"], ["db", "check"], ["weights", "list"], ["qupath", "check"], ["db", "check", "--store", "~/s"]],
)
def test_a_user_without_a_home_gets_a_message(words, monkeypatch):
    """A container's user: a number that the system knows no home of."""
    for name in ("HOME", "XDG_DATA_HOME", "WSISAM_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda _: (_ for _ in ()).throw(KeyError("uid not found")))
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit), done.exception
    assert "Set HOME or XDG_DATA_HOME" in done.output


@pytest.mark.parametrize(("number", "says"), [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "this user may not")])
def test_what_the_system_refuses_is_no_traceback(number, says, monkeypatch, tmp_path):
    from wsisam_server.annotations.store import upkeep

    def refused(*_):
        raise OSError(number, os.strerror(number), "/data/x")

    monkeypatch.setattr(upkeep, "check", refused)
    done = CliRunner().invoke(main, ["db", "check", "--store", str(tmp_path / "s")])
    assert done.exit_code == 1
    assert f"/data/x: {says}" in done.output
