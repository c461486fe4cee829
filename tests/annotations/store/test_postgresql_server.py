"""What can be wrong with a PostgreSQL server, and what a store needs of one."""

import asyncio
import gc
import sys
import threading
import time

import psycopg
import pytest

from annotations.store.examples import draft, request
from support import postgresql
from wsisam_server.annotations.store import AnnotationFilter, AsyncStore, StoreError, open_store
from wsisam_server.annotations.store.async_store import CLOSING_SECONDS, GOODBYE_SECONDS
from wsisam_server.core.errors import Reason, WsiSamServerError


@pytest.fixture
def where(postgres):
    return postgres()


@pytest.fixture
def restartable():
    server = postgresql.Server.start()
    yield server
    server.stop()


def test_a_server_that_was_restarted_is_found_again(restartable):
    where = restartable.database()
    with open_store(where) as store:
        store.save([draft()], author="a", request_id=request())
        restartable.halt()
        with pytest.raises(WsiSamServerError) as caught:
            store.save([draft()], author="a", request_id=request())
        assert caught.value.reason is Reason.STORE_UNAVAILABLE
        with pytest.raises(StoreError, match="Check that the server runs"):
            open_store(where)
        restartable.run()
        store.save([draft()], author="a", request_id=request())
        assert store.head() == 2


def test_a_writer_that_holds_on_makes_the_others_busy(store, where):
    with psycopg.connect(where) as other, other.transaction():
        other.execute("SELECT revision FROM store FOR UPDATE")
        with store._database.reading() as connection:  # a shorter patience, for the connection that is used next
            connection.exec_driver_sql("SET lock_timeout = '200ms'")
        with pytest.raises(WsiSamServerError) as caught:
            store.save([draft()], author="a", request_id=request())
        assert caught.value.reason is Reason.STORE_BUSY
        assert store.listing(AnnotationFilter(), after=0, limit=1).complete  # reading goes on
    store.save([draft()], author="a", request_id=request())


@pytest.mark.filterwarnings("ignore:.*was deleted while still open")
async def test_a_server_that_hangs_does_not_keep_ours_from_ending(restartable):
    waiting = AsyncStore(open_store(restartable.database()), waiting_writes=4)
    await waiting.save([draft()], author="a", request_id=request())
    with restartable.hanging():
        calls = [waiting.save([draft()], author="a", request_id=request()), waiting.get(draft().id)]
        calls = [asyncio.ensure_future(call) for call in (*calls, waiting.work(lambda store: store.head()))]
        await asyncio.sleep(0.5)
        started = time.monotonic()
        await waiting.close()
        assert time.monotonic() - started < CLOSING_SECONDS + GOODBYE_SECONDS + 1
        assert not any(call.done() for call in calls)
        threads = [one for one in threading.enumerate() if one.name.startswith("wsisam-store")]
        assert threads
        assert all(one.daemon for one in threads)
    await asyncio.wait(calls, timeout=20)
    del calls, waiting
    gc.collect()  # the connections that were left behind, here and not in another test


def test_commits_reach_the_disk_also_where_the_server_would_not_wait(where):
    with (
        open_store(f"{where}%20-csynchronous_commit%3Doff") as store,
        store._database.writing() as connection,
    ):
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
    with (
        open_store(f"{where}%20-csynchronous_commit%3Dremote_apply") as store,
        store._database.writing() as connection,
    ):
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "remote_apply"


def test_a_server_that_may_lose_its_disk_is_told_of(where, caplog):
    open_store(where).close()  # the tests' own server runs so
    (record,) = caplog.records
    assert "fsync = off" in record.getMessage()


def test_a_database_that_does_not_let_one_in(where):
    with pytest.raises(StoreError, match="lets this user in") as caught:
        open_store(where.replace("wsisam@", "nobody:geheim@"))
    assert "geheim" not in str(caught.value)


def test_another_programs_tables_are_left_alone_beside_ours_and_refused_under_our_names(where):
    with psycopg.connect(where) as other:
        other.execute("CREATE TABLE spatial_ref_sys (id INTEGER)")
    open_store(where).close()
    with psycopg.connect(where) as other:
        other.execute("DROP TABLE wsisam_version")
    with pytest.raises(StoreError, match="another program's"):
        open_store(where)


def test_without_the_driver_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"\.\[postgres\]"):
        open_store("postgresql://lab@host/annotations")
