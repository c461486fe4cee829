"""`wsisam serve` with a model that takes its time, so that tests can stop it at work.

python -m support.slow_server SECONDS ARGUMENT...        (in tests/; arguments of `wsisam serve`)
"""

import itertools
import sys
import time

from support.dark_parts import DarkParts
from wsisam_server.cli import main, serve


class Slow(DarkParts):
    """Encodes in so many seconds, but for the first time, when it is warmed up."""

    def __init__(self, seconds):
        self.waits = itertools.chain([0], itertools.repeat(seconds))

    def encode(self, image, *, roles=None, prompt=None):
        time.sleep(next(self.waits))
        return super().encode(image, roles=roles, prompt=prompt)


if __name__ == "__main__":
    serve.load_model = lambda **_: Slow(float(sys.argv[1]))
    main(["serve", *sys.argv[2:]])
