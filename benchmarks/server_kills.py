"""Servers that are killed while annotators save: nothing acknowledged is lost, nothing is doubled, nothing is torn.

Run: PYTHONPATH=tests python benchmarks/server_kills.py [--kills 200] [--store sqlite|postgresql] [--json OUT]

`wsisam serve` in a process of its own, with a model that costs nothing; four annotators save, change, delete and
restore annotations, and keep outlines of prompts (Segment and Interact), over gRPC. It is killed (SIGKILL) after some
hundredths of a second of that, every fourth time while it starts. Asked of the next server, each time: every annotation
is there once, as it was last acknowledged; a call without an answer is stored whole or not at all. Then what was not
answered is sent again, as it was. Every 25th time and at the end, `wsisam db check` finds nothing; at the end, each
annotation's history is what was acknowledged, revision by revision, and the store has no other revisions: nothing was
done twice.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from support import postgresql
from support.server import picture
from support.server_kills import Trial
from support.server_process import Starter

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def store(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield str(folder / "annotations.sqlite")
        return
    server = postgresql.Server.start()
    try:
        yield server.database()
    finally:
        server.stop()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as name,
        store(options.store, Path(name)) as where,
        Starter(Path(name) / "log") as starter,
    ):
        Image.fromarray(picture()).save(Path(name) / "discs.png")
        trial = Trial(starter, Path(name), where)
        trial.run(options.kills)
    annotators = trial.annotators
    result = {
        "store": options.store,
        "kills": options.kills,
        "annotators": len(annotators),
        "acknowledged": sum(one.acknowledged for one in annotators),
        "annotations": sum(len(one.known) for one in annotators),
        "sent again": sum(one.repeated for one in annotators),
        "of them stored before": trial.stored_unheard,
        "seconds": round(time.perf_counter() - started),
        "date": dt.datetime.now(tz=dt.timezone.utc).date().isoformat(),
    }
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for key, value in result.items():
        print(f"{key:24s}{value}")
    print("nothing acknowledged is lost, nothing is doubled, nothing is torn")


if __name__ == "__main__":
    main()
