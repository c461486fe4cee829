"""What hospitals' computers do first, on a system like Windows (support/windows_like). Tried on Linux only."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.server import write_picture

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the imitation reads /proc")

FIRST_DAY = """
import asyncio, faulthandler, os, signal, threading, time
from pathlib import Path

from support.dark_parts import DarkParts
from wsisam_server.cli import main, serve
from wsisam_server.cli.app import App
from wsisam_server.cli.server_log import ServerLog
from wsisam_server.client import Client
from wsisam_server.core.settings import Settings
from wsisam_server.service.identity import Role, TokenFile

import wsisam_server.core.files
faulthandler.dump_traceback_later(100, exit=True)
assert wsisam_server.core.files._IS_WINDOWS, "the imitation is not at work"


def wsisam(*words):
    try:
        main([str(word) for word in words])
    except SystemExit as ended:
        assert not ended.code, (words, ended.code)


here = Path.cwd()
tokens = here / "tokens.json"
wsisam("token", "create", "Łukasz", "--project", "colon", "--tokens", tokens)
wsisam("token", "list", "--tokens", tokens)
secret = TokenFile(tokens).create("anna", Role.ADMIN, frozenset(), None)[1]
Path("anna.token").write_bytes((secret + "\\r\\n").encode("utf-16"))  # as PowerShell's > writes it
wsisam("token", "list", "--tokens", tokens)

settings = Settings(slides=(here / "link",), port=0, store=str(here / "served.sqlite"), tokens=tokens, require_tokens=True)
app, asked, port, start = App(settings, DarkParts), [], [], App.start


async def started(self):
    port.append(await start(self))
    return port[0]


def ask():
    try:
        while not port:
            time.sleep(0.02)
        target = f"127.0.0.1:{port[0]}"
        with Client(target, token=secret) as client:
            for folder in ("link", "real"):  # as whoever named it names it, and where it is
                asked.append(client.open_slide(str(here / folder / "discs.png")).width)
        options = ["--server", target, "--token-file", "anna.token"]
        box = ["--box", "100,100,200,200"]
        for words in (["segment", here / "real" / "discs.png", *box, "--geojson", "ö.geojson"],
                      ["import", "ö.geojson", "--slide", here / "real" / "discs.png"],
                      ["export", "症例.geojson"]):
            wsisam(*words, *options)
        asked.append("all")
    finally:
        os.kill(os.getpid(), signal.SIGINT)


App.start = started
threading.Thread(target=ask, daemon=True).start()
asyncio.run(serve._serve(app, settings, ServerLog(settings)))
assert asked[-1] == "all", asked

wsisam("db", "check", "--store", here / "served.sqlite")
wsisam("db", "backup", here / "backup.sqlite", "--store", here / "served.sqlite")
print("the first day is over")
"""


@pytest.mark.process
def test_the_first_day_on_a_system_like_windows(tmp_path, repository):
    (tmp_path / "real").mkdir()
    write_picture(tmp_path / "real" / "discs.png")
    (tmp_path / "link").symlink_to("real")
    findings = tmp_path / "findings"
    path = [repository / "tests" / "support" / "windows_like", repository / "tests", *sys.path]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONIOENCODING": "cp1252",
        "PYTHONUTF8": "0",
        "WINDOWS_LIKE_FINDINGS": str(findings),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "WSISAM_STORE": str(tmp_path / "own.sqlite"),
    }
    done = subprocess.run(
        [sys.executable, "-c", FIRST_DAY], cwd=tmp_path, env=environment, capture_output=True, timeout=120, check=False
    )
    said = (done.stdout + done.stderr).decode("cp1252", errors="replace")
    assert done.returncode == 0, said[-3000:]
    assert "the first day is over" in said
    assert "Aborted" not in said
    assert not findings.exists(), findings.read_text(encoding="utf-8")
    assert {file.name for file in Path(tmp_path).glob("*.geojson")} == {"ö.geojson", "症例.geojson"}
