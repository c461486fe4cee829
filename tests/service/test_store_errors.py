"""What goes wrong below the Annotations service reaches the client as an error that says what to do."""

import sqlite3

import pytest

from support import postgresql
from support.annotations import Caller, Serving, new
from wsisam_server.client import ServerError
from wsisam_server.core.settings import Limits


@pytest.fixture
def place(tmp_path):
    return tmp_path / "annotations.sqlite"


@pytest.fixture
def serving(place):
    serving = Serving(str(place), Limits())
    yield serving
    serving.stop()


@pytest.fixture
def caller(serving):
    caller = Caller(serving.target)
    yield caller
    caller.close()


def fails(call, *arguments, **more):
    with pytest.raises(ServerError) as caught:
        call(*arguments, **more)
    assert len(caught.value.text) > 30
    return caught.value.status, caught.value.reason


def tell_connections(serving, *pragmas):
    """Sets pragmas on the one connection that the store's threads share while nothing else is asked."""
    with serving.store._store._database.reading() as connection:
        for pragma in pragmas:
            connection.exec_driver_sql(f"PRAGMA {pragma}")


def test_damage(caller, place):
    sent, sound = new(name="a"), new()
    caller.save(sent, sound)
    other = sqlite3.connect(place)
    with other:
        other.execute("UPDATE revision SET name = 'b' WHERE number = 1")
    other.close()
    for call, arguments in (
        (caller.get, [sent.id]),
        (caller.listed, []),
        (caller.history, [sent.id]),
        (caller.delete, [sent.id, 1]),
    ):
        assert fails(call, *arguments) == ("DATA_LOSS", "STORE_DAMAGED")
    with caller.watching() as watch:
        assert fails(watch.next) == ("DATA_LOSS", "STORE_DAMAGED")
    assert caller.get(sound.id).annotation.id == sound.id


def test_a_full_disk_and_the_same_request_when_there_is_room(caller, serving):
    kept, sent = new(), new(metadata={"a": "x" * 60_000})
    caller.save(kept)
    # SQLite itself refuses to grow, as it does on a full disk; that one is in tests/annotations/store/test_full_disk.py.
    tell_connections(serving, "max_page_count = 1")
    assert fails(caller.save, sent, request_id="again") == ("RESOURCE_EXHAUSTED", "STORE_FULL")
    assert caller.ids() == [kept.id]
    tell_connections(serving, "max_page_count = 1000000")
    assert caller.save(sent, request_id="again").saved[0].revision == 2


def test_a_writer_that_holds_on(caller, serving, place):
    kept = new()
    caller.save(kept)
    other = sqlite3.connect(place, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    tell_connections(serving, "busy_timeout = 100")
    assert fails(caller.save, new()) == ("UNAVAILABLE", "STORE_BUSY")
    assert caller.ids() == [kept.id]
    other.close()
    caller.save(new())


def test_a_database_server_that_is_gone_and_comes_back():
    server = postgresql.Server.start()
    serving = Serving(server.database(), Limits())
    caller = Caller(serving.target)
    sent = new()
    try:
        caller.save(sent)
        with caller.watching() as watch:
            watch.next()
            server.halt()
            assert fails(caller.save, new()) == ("UNAVAILABLE", "STORE_UNAVAILABLE")
            assert fails(caller.get, sent.id) == ("UNAVAILABLE", "STORE_UNAVAILABLE")
            assert fails(watch.next) == ("UNAVAILABLE", "STORE_UNAVAILABLE")
        server.run()
        caller.save(new())
        assert len(caller.ids()) == 2
    finally:
        caller.close()
        serving.stop()
        server.stop()
