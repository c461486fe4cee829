"""Prints one line for each change of an annotation in a server's store.

    python watch_store.py 127.0.0.1:8765 [--since REVISION]

Each line is a JSON object. Revisions only go up, so the last one that was printed is where the next run goes on:
nothing is lost or told twice. A connection that is lost is made again.
"""

import argparse
import json
import time
from collections.abc import Iterator

from wsisam.v1 import annotations_pb2
from wsisam_server.client import Client, ServerError

PAUSE = 2.0
"""Seconds before a lost connection is made again."""


def changes(client: Client, since: int) -> Iterator[dict[str, object]]:
    """Every change after a revision, for ever."""
    while True:
        try:
            request = annotations_pb2.AnnotationsWatchRequest(since=since)
            for message in client.stream(client.annotations.Watch, request):
                for one in message.annotations:
                    yield {
                        "revision": one.revision,
                        "id": one.id,
                        "change": annotations_pb2.ChangeKind.Name(one.change).removeprefix("CHANGE_KIND_").lower(),
                        "author": one.author,
                        "class": one.path_class.name,
                        "slide": one.slide_id,
                        "at": one.update_time.ToJsonString(),
                    }
                since = max(since, message.revision)
        except ServerError as error:
            if error.status != "UNAVAILABLE":
                raise
            print(json.dumps({"waiting": error.text}), flush=True)
        time.sleep(PAUSE)


def main() -> None:
    """Prints for ever."""
    parser = argparse.ArgumentParser(description="Print each change of an annotation.")
    parser.add_argument("server")
    parser.add_argument("--since", type=int, default=0, help="only after this revision")
    options = parser.parse_args()
    with Client(options.server) as client:
        for change in changes(client, options.since):
            print(json.dumps(change), flush=True)


if __name__ == "__main__":
    main()
