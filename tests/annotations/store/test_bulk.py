"""Large slides: what is done once for a page is done once, and bounded is what somebody else made longer."""

import uuid

import numpy as np
import pytest
import shapely
import sqlalchemy as sa

from annotations.store.contract import ALL, everything
from annotations.store.examples import OTHER_SLIDE, SLIDE, draft, request
from wsisam_server.annotations.store import (
    AnnotationFilter,
    Draft,
    Provenance,
    SlideRecord,
    open_store,
    reading,
    slide_rows,
    tables,
    validation,
)
from wsisam_server.annotations.store.upkeep import check
from wsisam_server.core.geometry import Point
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.core.settings import Limits
from wsisam_server.wire import annotation_to_proto as to_proto
from wsisam_server.wire.annotation_from_proto import annotation_list


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, sqlite_path):
    return str(sqlite_path) if request.param == "sqlite" else request.getfixturevalue("postgres")()


def blobs(count):
    """On the grid, and off it, with and without holes and parts."""
    random = np.random.default_rng(0)
    for number in range(count):
        blob = shapely.Point(random.random(2) * 1000).buffer(5 + random.random())
        blob = shapely.set_precision(blob, 1 / 32) if number % 2 else blob
        yield blob if number % 3 else shapely.box(0, 0, 4, 4).union(blob - shapely.centroid(blob).buffer(1))


def test_a_page_is_converted_at_once(store, monkeypatch):
    drafts = [draft(shape=shape, measurements={"a": 1 / 3}) for shape in blobs(200)]
    store.save(drafts, author="a", request_id=request())
    calls = []
    for name in ("from_wkb", "get_coordinates", "get_rings"):
        real = getattr(shapely, name)
        monkeypatch.setattr(shapely, name, lambda *a, real=real, name=name, **k: calls.append(name) or real(*a, **k))
    page = store.listing(ALL, after=0, limit=500)
    messages = to_proto.annotation_list(page.annotations)
    assert sorted(calls) == ["from_wkb", "get_coordinates", "get_rings"]
    assert annotation_list(messages) == list(page.annotations)
    assert [one.content.shape.wkb for one in annotation_list(messages)] == [one.content.shape.wkb for one in drafts]
    assert {message.shape.WhichOneof("form") for message in messages} == {"area", "drawn"}


def test_each_row_is_read_once_and_its_digest_computed_once(store, monkeypatch):
    store.save([draft() for _ in range(250)], author="a", request_id=request())
    digests = []
    real = reading.record.digest
    monkeypatch.setattr(reading.record, "digest", lambda values: digests.append(1) or real(values))
    assert len(everything(store)) == 250
    # Each page looks at one more, to tell whether it is the last.
    assert len(digests) == 250


def test_pages_of_long_texts_are_short(store, monkeypatch):
    monkeypatch.setattr(reading, "TEXT_PER_PAGE", 1000)
    store.save([draft(metadata={"note": "x" * 300}) for _ in range(10)], author="a", request_id=request())
    assert len(store.listing(ALL, after=0, limit=100).annotations) == 4
    assert len(everything(store)) == 10


def test_places_are_bounded_in_the_store_and_for_readers(where):
    first = [f"file:///{number}" for number in range(10)]
    with open_store(where) as store:
        store.save([draft()], author="a", request_id=request(), slides=[SlideRecord(SLIDE, (*first, *first))])
        for start in range(0, 600, 200):
            more = tuple(f"file:///b{number}" for number in range(start, start + 200))
            store.save([draft()], author="a", request_id=request(), slides=[SlideRecord(SLIDE, more)])
        (record,) = store.slides([SLIDE])
        assert record.uris == ("file:///0", *(f"file:///b{number}" for number in range(585, 600)))
        with store._database.reading() as connection:
            count = sa.select(sa.func.count()).select_from(tables.slide_uri)
            assert connection.execute(count).scalar_one() == slide_rows.KEPT
        for uri, found in (("file:///0", 4), ("file:///b599", 4), ("file:///1", 0)):
            assert len(store.listing(AnnotationFilter(uri=uri), after=0, limit=9).annotations) == found
        store.save([draft(slide_id=OTHER_SLIDE)], author="a", request_id=request())
    assert check(where).problems == ()


def test_places_of_an_older_store_are_bounded_when_they_are_read(where):
    with open_store(where) as store:
        store.save([draft()], author="a", request_id=request(), slides=[SlideRecord(SLIDE, ("file:///0",))])
        rows = [
            {"slide": 1, "digest": slide_rows.uri_digest(f"file:///{number}"), "uri": f"file:///{number}"}
            for number in range(1, 3000)
        ]
        with store._database.writing() as connection:
            connection.execute(sa.insert(tables.slide_uri), rows)
        assert len(store.slides([SLIDE])[0].uris) == slide_rows.SHOWN
        assert len(store.listing(AnnotationFilter(uri="file:///1500"), after=0, limit=9).annotations) == 1


def test_points_of_a_prompt_are_bounded():
    points = tuple(PromptPoint(Point(number, 1), positive=True) for number in range(validation.MAX_POINTS + 1))
    made = Provenance("m", "w", SlidePrompt(points))
    with pytest.raises(Exception, match="limit is 1024"):
        validation.drafts([Draft(uuid.uuid4(), draft(provenance=made).content)], Limits())
