"""An empty machine for the walk through docs/admin.md: one folder, and programs in it that stand for the system's.

What the page's commands name by an absolute path lies below the folder. `wsisam` is the program itself; what serves
has a model that costs nothing. Of the system, `useradd`, `sudo`, `chown`, `systemctl`, `python3 -m venv` and pip are
stand-ins: where the walk runs as root, the service's user is another one all the same, and files are its own.

Run as a program, this is one of them: ROOT NAME ARGUMENTS.
"""

import contextlib
import importlib
import json
import os
import pkgutil
import pwd
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

USER, NUMBER = "wsisam", 4321
"""The service's, who is not in this machine's own list of users."""

PROGRAMS = ("useradd", "sudo", "chown", "systemctl", "python3")
OURS = re.compile(r"(?<![\w.$/-])/(opt|etc|var/lib|backup|data|usr/local)(?=/|\s|$)")
"""Paths of the empty machine."""

AS_USER = "WALK_AS_USER"

EARLY = {
    "db": (
        *("_strptime", "sqlite3", "alembic.command", "alembic.runtime.migration", "sqlalchemy.dialects.sqlite"),
        *("rich.progress", "wsisam_server.annotations.store.upkeep", "wsisam_server.annotations.store.sql_store"),
        "wsisam_server.cli.db",
    ),
    "doctor": ("stringprep", "torch", *(f"wsisam_server.cli.{name}" for name in ("app", "doctor", "doctor_service"))),
    "serve": ("stringprep", "wsisam_server.inference.cluster", "wsisam_server.cli.app", "wsisam_server.cli.server_log"),
}
EARLY["doctor"] = EARLY["serve"] = (*EARLY["db"], *EARLY["doctor"], *EARLY["serve"])
"""What the service's user must not have to look for: Python itself may lie where only root may look."""

START_SECONDS = 60


class Machine:
    """The machine, for a test.

    Args:
        root: its folder.
        checkout: of the project.
    """

    def __init__(self, root, checkout):
        self.root, self.home = root, root / "root"
        for name in ("opt", "etc/systemd/system", "var/lib", "data/slides", "usr/local/bin", "root", "shims"):
            (root / name).mkdir(parents=True)
        for name in ("docs", "pyproject.toml"):
            (self.home / name).symlink_to(checkout / name)
        for name in PROGRAMS:
            self._program(root / "shims" / name, name)
        self.words = {}
        """What stands for what in the page's commands, such as a free port."""

    def _program(self, path, *words):
        path.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, __file__, str(self.root), *words])} "$@"\n')
        path.chmod(0o755)

    def as_here(self, text):
        """A command of the page with what lies elsewhere on this machine."""
        for word, here in self.words.items():
            text = text.replace(word, here)
        return OURS.sub(lambda found: f"{self.root}{found[0]}", text)

    def run(self, command):
        """Runs a command of the page, as the administrator; returns what it printed."""
        path = os.pathsep.join(map(str, (self.root / "shims", self.root / "usr/local/bin", os.environ["PATH"])))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WSISAM_")}
        done = subprocess.run(
            ["bash", "-eu", "-c", self.as_here(command)],
            cwd=self.home,
            env=kept | {"PATH": path, "HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{self.journal()}"
        return done.stdout

    def journal(self):
        """What the service wrote."""
        path = self.root / "journal"
        return path.read_text() if path.exists() else ""

    def stop(self):
        """Ends the service, whatever became of the walk."""
        pid = self.root / "pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGKILL)


def useradd(root, *arguments):
    home = _value(arguments, "--home-dir")
    assert arguments[-1] == USER
    if "--create-home" in arguments:
        Path(home).mkdir(mode=0o700)
        _give(home)


def sudo(root, *arguments):
    assert arguments[:2] == ("-u", USER), arguments
    os.environ[AS_USER] = "1"
    os.execvp(arguments[2], arguments[2:])


def chown(root, whose, *paths):
    assert whose == f"{USER}:", whose
    for path in paths:
        assert Path(path).exists(), path
        _give(path)


def python3(root, *arguments):
    assert arguments[:2] == ("-m", "venv"), arguments
    programs = Path(arguments[2]) / "bin"
    programs.mkdir(parents=True)
    machine = Machine.__new__(Machine)
    machine.root = Path(root)
    machine._program(programs / "pip", "pip", str(programs))


def pip(root, programs, *arguments):
    """Makes the program that the project installs; its packages are those of the tests."""
    assert arguments[0] == "install"
    assert arguments[1].endswith("[server]")
    machine = Machine.__new__(Machine)
    machine.root = Path(root)
    machine._program(Path(programs) / "wsisam", "wsisam")


def systemctl(root, verb, *arguments):
    assert arguments[-1] == USER
    if verb == "stop":
        _stop(Path(root))
    else:
        assert verb in {"start", "enable"}
        assert (verb == "enable") == ("--now" in arguments)
        _start(Path(root))


def _start(root):
    unit = (root / "etc/systemd/system/wsisam.service").read_text()
    settings = re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE)
    here = [(name, OURS.sub(lambda found: f"{root}{found[0]}", value)) for name, value in settings]
    (command,) = [value for name, value in here if name == "ExecStart"]
    (state,) = [value for name, value in settings if name == "StateDirectory"]
    folder = root / "var/lib" / state
    folder.mkdir(mode=0o700, exist_ok=True)
    _give(folder)
    environment = dict(value.split("=", 1) for name, value in here if name == "Environment")
    with (root / "journal").open("a+") as journal:
        begin = journal.tell()
        process = subprocess.Popen(
            shlex.split(command),
            env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", AS_USER: "1", **environment},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=journal,
            stderr=journal,
            start_new_session=True,
        )
        (root / "pid").write_text(str(process.pid))
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            journal.seek(begin)
            said = [json.loads(line) for line in journal if line.endswith("\n")]
            if any(line["message"].startswith("serving ") for line in said):
                return
            assert process.poll() is None, said
            time.sleep(0.05)
    raise AssertionError("the service did not start")


def _stop(root):
    pid = int((root / "pid").read_text())
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + START_SECONDS
    while _is_alive(pid):
        assert time.monotonic() < until, "the service did not stop"
        time.sleep(0.05)
    (root / "pid").unlink()


def _is_alive(pid):
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def wsisam(root, *arguments):
    from wsisam_server.cli import main, service_files

    real, number = pwd.getpwnam, NUMBER if os.geteuid() in {0, NUMBER} else os.geteuid()
    known = pwd.struct_passwd((USER, "x", number, number, "", "", ""))
    pwd.getpwnam = lambda name: known if name == USER else real(name)
    service_files.CONFIGURATION = Path(root) / "etc/wsisam/wsisam.toml"
    if arguments[0] == "serve" and "--print-config" not in arguments:
        from support.dark_parts import DarkParts
        from wsisam_server.cli import serve

        serve.load_model = lambda **_: DarkParts()
    _become_user(arguments[0])
    sys.argv = ["wsisam", *arguments]
    main(prog_name="wsisam")


def _value(arguments, option):
    return arguments[arguments.index(option) + 1]


def _give(path):
    if os.geteuid() == 0:
        os.chown(path, NUMBER, NUMBER)


def _become_user(command):
    """From here on this process is the service's user, where it may become another."""
    if os.environ.pop(AS_USER, None) and os.geteuid() == 0:
        for package in ("encodings", "multiprocessing", "concurrent.futures", "email", "importlib", "logging", "json"):
            for found in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
                with contextlib.suppress(ImportError, AttributeError):
                    importlib.import_module(found.name)
        for name in EARLY[command]:
            importlib.import_module(name)
        os.setgroups([])
        os.setresgid(NUMBER, NUMBER, NUMBER)
        os.setresuid(NUMBER, NUMBER, NUMBER)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    globals()[sys.argv[2]](sys.argv[1], *sys.argv[3:])
