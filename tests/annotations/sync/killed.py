"""A program whose syncs kill themselves without warning when they have done a certain step.

Usage: killed.py COMMAND..., the QuPath program's. For each line on standard input, JSON with "project", "store", "step"
and "image", it forks one sync, which prints the steps that it has done, "STEP,IMAGE"; then it prints "ended N", less
than 0 for a signal. With an empty step the sync runs to its end. Syncs are forked because Python and the libraries take
a second to load.
"""

import json
import os
import signal
import sys
from pathlib import Path

from wsisam_server.annotations.store import open_store
from wsisam_server.annotations.sync.options import Options
from wsisam_server.annotations.sync.plan import Resolution, Side
from wsisam_server.annotations.sync.process import QuPathProcess
from wsisam_server.annotations.sync.syncing import sync

OPTIONS = {"persist_ids": True, "resolution": Resolution(Side.STORE)}


class Killer:
    def __init__(self, step, image):
        self._at = (step, image)

    def begin(self, images):
        pass

    def step(self, step, image=None):
        here = (step.name, "" if image is None else image.id)
        os.write(1, f"{','.join(here)}\n".encode())
        if here == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def end(self, report):
        pass


def run(said, command):
    with open_store(said["store"]) as store:
        killer = Killer(said["step"], said["image"])
        process, options = QuPathProcess(command), Options(**OPTIONS)
        report = sync(Path(said["project"]), store, process, options, author="qupath:tester", listener=killer)
    return report.status


def main():
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            status = 99
            try:
                status = run(json.loads(line), sys.argv[1:])
            finally:
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        os.write(1, f"ended {os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    main()
