"""Starts servers for tests in Python and Java: `wsisam serve` again and again, without importing torch each time.

    python -m support.server_starter        (in tests/)

Reads one command a line, its words separated by tabs:

- `start ARGUMENT...` (of `wsisam serve`): says `started PID`, what the server says itself, and `over PID` when it has
  stopped by itself.
- `slow SECONDS FOLDER ARGUMENT...`: one that takes so long to encode, and whose words go to FOLDER/out and FOLDER/err.
  Says `started PID`.
- `kill PID`, `stop PID`: says `ended PID` when it is gone.
- `wait PID SECONDS`: says `left PID STATUS`; the status is None if it still runs then.

The servers end with this process, and this process with its standard input.
"""

import multiprocessing
import os
import sys
from pathlib import Path

import wsisam_server.cli.app
import wsisam_server.inference.cluster  # noqa: F401 - a command imports these when it serves; here all forks have them
from support.dark_parts import DarkParts, SlowDarkParts
from wsisam_server.cli import main, serve


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(model, arguments, folder=None):
    """One server, in a process of its own: the command itself, with a model of which the answers cost nothing."""
    say(f"started {os.getpid()}")
    for name, stream in () if folder is None else (("out", sys.stdout), ("err", sys.stderr)):
        with Path(folder, name).open("w") as file:
            os.dup2(file.fileno(), stream.fileno())
    serve.load_model = lambda **_: model
    try:
        main(["serve", *arguments])
    finally:
        say(f"over {os.getpid()}")


def obey(command, servers, processes):
    """Does what one line says."""
    what, *words = command
    if what in ("start", "slow"):
        given = (DarkParts(), words) if what == "start" else (SlowDarkParts(float(words[0])), words[2:], words[1])
        process = processes.Process(target=run, args=given)
        process.start()
        servers[str(process.pid)] = process
        return
    if what == "wait":
        process = servers[words[0]]
        process.join(float(words[1]))
        say(f"left {process.pid} {process.exitcode}")
        return
    process = servers.pop(words[0])
    (process.kill if what == "kill" else process.terminate)()
    process.join()
    say(f"ended {process.pid}")


if __name__ == "__main__":
    # A fork has all that is imported above. Where there is none (Windows) each server imports it again.
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context, running = multiprocessing.get_context(method), {}
    say("ready")
    try:
        for line in sys.stdin:
            obey(line.rstrip("\n").split("\t"), running, context)
    finally:
        for server in running.values():
            server.kill()
