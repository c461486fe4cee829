"""The server that the tests of this folder talk to over a real socket."""

import math
import threading

import pytest

from support.dark_parts import DarkParts
from support.one_window import one_window
from support.served_folder import serving
from wsisam_server.client import Client


@pytest.fixture(scope="session")
def model():
    """Answers at no cost: what is asked here is what the service makes of answers."""
    return DarkParts()


@pytest.fixture(scope="session")
def real_model():
    """The default model, for tests of what only it can do."""
    return one_window()


@pytest.fixture(scope="session")
def server(model, tmp_path_factory):
    yield from serving(model, tmp_path_factory)


class Gate:
    """Where encodings wait until they may go on.

    Attributes:
        opened: for how many.
    """

    def __init__(self, encode):
        self.opened = 0
        self._encode, self._may, self._changed = encode, 0, threading.Condition()

    def encode(self, image, **more):
        with self._changed:
            assert self._changed.wait_for(lambda: self._may, 60)
            self._may -= 1
        return self._encode(image, **more)

    def let(self, count):
        with self._changed:
            self.opened += count
            self._may += count
            self._changed.notify_all()

    def open(self):
        self.let(math.inf)


@pytest.fixture
def gate(model, monkeypatch):
    """The model's encodings wait for the test."""
    gate = Gate(model.encode)
    monkeypatch.setattr(model, "encode", gate.encode)
    yield gate
    gate.open()


@pytest.fixture
def client(server):
    with Client(server.target, timeout=120) as client:
        yield client


@pytest.fixture
def slide(client, server):
    return client.open_slide(str(server.root / "discs.png"))
