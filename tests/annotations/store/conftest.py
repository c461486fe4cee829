"""Stores to test: SQLite files, and databases of a real PostgreSQL that the tests start."""

import pytest

from wsisam_server.annotations.store import open_store
from wsisam_server.core.settings import Limits

LIMITS = Limits(annotations_per_request=300, vertices_per_annotation=1000)


@pytest.fixture
def sqlite_path(tmp_path):
    return tmp_path / "annotations.sqlite"


@pytest.fixture
def opened(where):
    """Opens the store at `where`; what is left open is closed after the test."""
    stores = []

    def open_one():
        stores.append(open_store(where, LIMITS))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def store(opened):
    return opened()


@pytest.fixture
def again(opened):
    return opened
