"""The server that the tests of this folder talk to over a real socket."""

import pytest

from support.one_window import one_window
from support.server import start


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running, stop = start(one_window(), tmp_path_factory.mktemp("slides"))
    yield running
    stop()
