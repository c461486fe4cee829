"""A program that the kill tests end without warning: it forks writers, which say what the store has accepted.

Usage: writer.py STORE. For each line on standard input it forks one writer and prints "pid N"; a writer prints, for
each request that the store has acknowledged, the ids of its annotations. Writers are forked because Python and the
libraries take a second to load, and a kill must come after milliseconds.
"""

import os
import sys
import uuid

import shapely

from wsisam_server.annotations.store import Content, Draft, open_store

BATCH = 3


def content(annotation_id):
    """A content that follows from the id, so that a torn one shows."""
    x = int(annotation_id.hex[:4], 16)
    return Content("slide", shapely.Point(x, x / 3).buffer(20), name=f"name of {annotation_id}")


def write(where):
    with open_store(where) as store:
        while True:
            ids = [uuid.uuid4() for _ in range(BATCH)]
            store.save([Draft(one, content(one)) for one in ids], author="writer", request_id=uuid.uuid4().hex)
            # One call, shorter than a pipe's buffer: it is there whole, or not at all.
            os.write(1, f"ack {' '.join(map(str, ids))}\n".encode())


def main():
    os.write(1, b"ready\n")
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            write(sys.argv[1])
        os.write(1, f"pid {pid}\n".encode())
        os.waitpid(pid, 0)
        os.write(1, b"gone\n")


if __name__ == "__main__":
    main()
