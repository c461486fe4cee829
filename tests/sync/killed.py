"""A program that syncs, and kills itself without warning when it has done a certain step.

Usage: killed.py PROJECT STORE STEP IMAGE COMMAND... ; STEP and IMAGE empty: it runs to its end and prints all steps.
"""

import os
import signal
import sys
from pathlib import Path

from wsisam_server.store import open_store
from wsisam_server.sync.options import Options
from wsisam_server.sync.plan import Resolution, Side
from wsisam_server.sync.process import QuPathProcess
from wsisam_server.sync.syncing import sync

OPTIONS = Options(persist_ids=True, resolution=Resolution(Side.STORE))


class Killer:
    def __init__(self, step, image):
        self._at = (step, image)

    def begin(self, images):
        pass

    def step(self, step, image=None):
        here = (step.name, "" if image is None else image.id)
        if here == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._at == ("", ""):
            sys.stdout.write(",".join(here) + "\n")

    def end(self, report):
        pass


def main():
    project, store, step, image, *command = sys.argv[1:]
    with open_store(store) as opened:
        report = sync(
            Path(project), opened, QuPathProcess(command), OPTIONS, author="qupath:tester", watcher=Killer(step, image)
        )
    sys.exit(report.status)


if __name__ == "__main__":
    main()
