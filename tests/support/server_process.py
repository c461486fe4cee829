"""`wsisam serve` in processes of its own: how they are started, what they take, what they count, and their end."""

import contextlib
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from support.waiting import until

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Usage:
    """What a process holds: bytes of memory, threads, open files and sockets."""

    rss: int
    threads: int
    files: int


@dataclass(frozen=True)
class ServerProcess:
    """A running server: its process, its address, and the file of its log."""

    process: psutil.Process
    target: str
    log: Path

    def usage(self):
        with self.process.oneshot():
            return Usage(self.process.memory_info().rss, self.process.num_threads(), self.process.num_fds())

    def metrics(self):
        """What it counts, as [(name, labels, value)]; it must have been started with a metrics port."""
        address = re.findall(r"metrics are on (\S+)", self.log.read_text())[-1]
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as reply:
            text = reply.read().decode()
        return [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    def own_errors(self):
        """Calls and prompts that ended as only a bug ends them: those of the server itself, not of gRPC's core."""
        counted = {"wsisam_calls_total": "status", "wsisam_prompts_total": "result"}
        return [
            (name, labels, value)
            for name, labels, value in self.metrics()
            if labels.get(counted.get(name)) in ("INTERNAL", "UNKNOWN") and value
        ]

    def complaints(self):
        """Lines of the log that tell of a bug."""
        wrong = re.compile(r"Traceback| ERROR | CRITICAL |never retrieved|was never awaited")
        return [line for line in self.log.read_text().splitlines() if wrong.search(line)]


@dataclass(frozen=True)
class SlowServer:
    """A server with a model that takes its time, which may be told to stop as from outside.

    Attributes:
        process: where it runs.
        folder: its words are in the files out and err.
        wait: waits for its end, so many seconds; its exit status, or None.
    """

    process: psutil.Process
    folder: Path
    wait: Callable[[float], int | None]

    @property
    def target(self):
        """Its address, once it serves."""
        until(lambda: "wsisam: serving" in self.said("out"), 120)
        (line,) = [line for line in self.said("out").splitlines() if line.startswith("wsisam: serving")]
        return line.rsplit(" ", 1)[-1]

    def said(self, where):
        file = self.folder / where
        return file.read_text() if file.exists() else ""


@contextlib.contextmanager
def command(log, *arguments):
    """The command itself, with a real model."""
    program = [sys.executable, "-m", "wsisam_server", "serve", *map(str, arguments)]
    with log.open("w") as errors, subprocess.Popen(program, stdout=subprocess.PIPE, stderr=errors, text=True) as server:
        try:
            yield _serving(server.stdout, server.pid, log)
        finally:
            server.terminate()


class Starter:
    """Starts servers with a model that costs nothing, each within a second: see server_starter.py.

    Args:
        log: a file that gets all their logs.
    """

    def __init__(self, log):
        self._log = log
        self._errors = log.open("w")
        self._program = subprocess.Popen(
            [sys.executable, "-m", "support.server_starter"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            bufsize=1,
            cwd=TESTS,
        )
        self._until("ready")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._program.stdin.close()
        self._program.wait(60)
        self._program.stdout.close()
        self._errors.close()

    def start(self, *arguments):
        """One server more, once it serves."""
        self._tell("start", *map(str, arguments))
        pid = int(self._until("started").split()[1])
        return _serving(self._program.stdout, pid, self._log)

    def start_slow(self, seconds, folder, *arguments):
        """One that takes so long for each image; before it serves, so that several begin side by side."""
        self._tell("slow", str(seconds), str(folder), *map(str, arguments))
        pid = self._until("started").split()[1]

        def wait(most):
            self._tell("wait", pid, str(most))
            status = self._until(f"left {pid}").split()[2]
            return None if status == "None" else int(status)

        return SlowServer(psutil.Process(int(pid)), folder, wait)

    def start_and_kill(self, seconds, *arguments):
        """One server more, killed so many seconds after it began to start."""
        self._tell("start", *map(str, arguments))
        pid = self._until("started").split()[1]
        time.sleep(seconds)
        self._tell("kill", pid)
        self._until("ended")

    def kill(self, server):
        """Ends it without warning, and returns when it is gone."""
        self._tell("kill", str(server.process.pid))
        self._until("ended")

    def stop(self, server):
        """Ends it as systemd does."""
        self._tell("stop", str(server.process.pid))
        self._until("ended")

    def _tell(self, *words):
        self._program.stdin.write("\t".join(words) + "\n")

    def _until(self, beginning):
        return _line(self._program.stdout, beginning, self._log)


def _serving(lines, pid, log):
    target = _line(lines, "wsisam: serving", log).rsplit(" ", 1)[-1].strip()
    return ServerProcess(psutil.Process(pid), target, log)


def _line(lines, beginning, log):
    for line in lines:
        if line.startswith(beginning):
            return line
    time.sleep(0.5)  # its last words
    raise AssertionError(f"the server ended:\n{log.read_text()[-4000:]}")
