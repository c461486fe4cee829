"""A program for the tests of the store on the disk: writes entries of one size until it is ended.

Usage: writer.py FOLDER LIMIT SIZE FIRST COUNT. It prints "wrote NUMBER" after each; numbers repeat after COUNT.
"""

import itertools
import sys
from pathlib import Path

from wsisam_server.inference.embeddings import EmbeddingStore, EntryKey


def key(number):
    return EntryKey(f"{number % 3:064x}", f"window {number}")


def data(number, size):
    return number.to_bytes(8, "big") * (size // 8)


def main():
    folder, limit, size, first, count = Path(sys.argv[1]), *map(int, sys.argv[2:])
    store = EmbeddingStore(folder, limit)
    for number in itertools.count():
        which = first + number % count
        store.put(key(which), data(which, size))
        print("wrote", which, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
