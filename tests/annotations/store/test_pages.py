"""Pages are bounded by what they hold, not by their count alone."""

import pytest

from annotations.store.contract import ALL, all_changes, everything
from annotations.store.examples import draft, request
from wsisam_server.annotations.store import reading


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, sqlite_path):
    return str(sqlite_path) if request.param == "sqlite" else request.getfixturevalue("postgres")()


def test_pages_of_large_annotations_are_short(store, monkeypatch):
    monkeypatch.setattr(reading, "VERTICES_PER_PAGE", 25)
    store.save([draft() for _ in range(20)], author="a", request_id=request())  # of 5 vertices each
    page = store.listing(ALL, after=0, limit=100)
    assert (len(page.annotations), page.revision, page.complete) == (6, 6, False)
    assert [one.revision for one in everything(store)] == list(range(1, 21))
    assert [one.revision for one in all_changes(store)] == list(range(1, 21))
