"""Runs the program: requests on standard input, answers on standard output, everything else on standard error."""

from __future__ import annotations

import os
import sys
import traceback

from wsisam_server.annotations.sync.runner import qupath, wire
from wsisam_server.annotations.sync.runner.serve import Server


def main() -> None:
    """Starts QuPath's Java, says so, and answers until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    # QuPath and Java print on standard output, too.
    os.dup2(2, 1)
    try:
        version = qupath.start()
    except qupath.QuPathError as error:
        wire.send(answers, {"problem": error.problem, "text": str(error)})
        return
    wire.send(answers, {"qupath": version})
    server = Server()
    while (received := wire.receive(sys.stdin.buffer)) is not None:
        try:
            answer, data = server.answer(*received)
        except qupath.QuPathError as error:
            answer, data = {"problem": error.problem, "text": str(error)}, b""
        except Exception as error:  # noqa: BLE001 - Java's errors, too: the other process decides what to do
            full = "OutOfMemoryError" in type(error).__name__
            traceback.print_exc()
            answer, data = {"problem": "memory" if full else "bug", "text": f"{type(error).__name__}: {error}"}, b""
        wire.send(answers, answer, data)


if __name__ == "__main__":
    main()
