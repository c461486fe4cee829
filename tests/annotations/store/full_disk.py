"""A program for the test of a full disk: fills the folder's file system by saving, makes room, and goes on.

Usage: full_disk.py FOLDER. It prints one JSON object: what was seen.
"""

import json
import sys
import uuid
from pathlib import Path

import numpy as np
import shapely

from wsisam_server.annotations.store import AnnotationFilter, Content, Draft, open_store
from wsisam_server.annotations.store.upkeep import check
from wsisam_server.core.errors import Reason, WsiSamServerError


def drafts(seed):
    # Random vertices: what cannot be compressed fills the disk fast.
    shape = shapely.LineString(np.random.default_rng(seed).uniform(0, 1e5, (2000, 2)))
    return [Draft(uuid.UUID(int=seed * 10 + number), Content("slide", shape)) for number in range(3)]


def listed(store):
    found, after = set(), 0
    while True:
        page = store.listing(AnnotationFilter(), after=after, limit=10)
        found |= {one.id for one in page.annotations}
        after = page.revision
        if page.complete:
            return found


def main():
    folder = Path(sys.argv[1])
    ballast, where = folder / "ballast", str(folder / "annotations.sqlite")
    ballast.write_bytes(bytes(1_000_000))
    seen, acknowledged = [], set()
    store = open_store(where)

    def saved(seed):
        try:
            store.save(drafts(seed), author="a", request_id=str(seed))
        except WsiSamServerError as error:
            seen.append(error.reason.name)
            return False
        acknowledged.update(one.id for one in drafts(seed))
        return True

    first = next(seed for seed in range(5000) if not saved(seed))
    whole = listed(store) == acknowledged
    ballast.unlink()
    # The same request, on the same store, now that there is room; and on until there is none again.
    second = next(seed for seed in range(first, 5000) if not saved(seed))
    whole &= listed(store) == acknowledged
    lost = len(acknowledged - listed(store))
    store.close()
    # A disk that is still full can be read by whoever comes next.
    with open_store(where) as store:
        lost += len(acknowledged - listed(store))
    sys.stdout.write(
        json.dumps(
            {
                "errors": seen,
                "catalogue": [Reason[name].value.code.name for name in seen],
                "readable_while_full": whole,
                "went_on": second > first,
                "acknowledged": len(acknowledged),
                "lost": lost,
                "problems": check(where).problems,
            }
        )
    )


if __name__ == "__main__":
    main()
