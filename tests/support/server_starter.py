"""Starts servers for the Java client's tests: `wsisam serve` again and again, without importing torch each time.

    python -m support.server_starter        (in tests/)

Reads one command a line: `start ARGUMENT...` (of `wsisam serve`; separated by tabs), `kill PID`, `stop PID`. Writes
`started PID`, what the server says itself, `over PID` when it has stopped by itself, and `ended PID` when it is gone. The
servers end with this process, and this process with its standard input.
"""

import multiprocessing
import os
import sys

import wsisam_server.cli.app
import wsisam_server.inference.cluster  # noqa: F401 - a command imports these when it serves; here all forks have them
from support.dark_parts import DarkParts
from wsisam_server.cli import main, serve


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(arguments):
    """One server, in a process of its own: the command itself, with a model of which the answers cost nothing."""
    say(f"started {os.getpid()}")
    serve.load_model = lambda **_: DarkParts()
    try:
        main(["serve", *arguments])
    finally:
        say(f"over {os.getpid()}")


def obey(command, servers, processes):
    """Does what one line says."""
    what, *words = command
    if what == "start":
        process = processes.Process(target=run, args=(words,))
        process.start()
        servers[str(process.pid)] = process
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
