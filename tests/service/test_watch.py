"""Watch: every change once and in order, also over restarts of the server, and never more than the client reads."""

import contextlib
import time

import grpc
import pytest

from annotations.store.examples import draft, request
from support.annotations import SLIDE, Caller, Serving, drawn, new, path_class
from wsisam.v1 import annotations_pb2 as pb
from wsisam.v1 import geometry_pb2 as geo
from wsisam_server.annotations.store import open_store
from wsisam_server.client import ServerError, server_error
from wsisam_server.core.settings import Limits

pytestmark = pytest.mark.slow

LIMITS = Limits(heartbeat_seconds=0.5, watch_stall_seconds=1.5)


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "annotations.sqlite")


@pytest.fixture
def serving(place):
    serving = Serving(place, LIMITS)
    yield serving
    serving.stop()


@pytest.fixture
def caller(serving):
    caller = Caller(serving.target)
    yield caller
    caller.close()


def test_what_was_is_told_first_and_then_what_comes(caller):
    sent = new(name="a")
    caller.save(sent, new(), slides=[pb.AnnotatedSlide(slide_id=SLIDE, uris=["file:///a"])])
    with caller.watching() as watch:
        first = watch.next()
        assert [one.revision for one in first.annotations] == [1, 2]
        assert first.slides == [pb.AnnotatedSlide(slide_id=SLIDE, uris=["file:///a"])]
        assert first.store_id
        started = time.monotonic()
        caller.save(new(sent.id, revision=1, name="b"))
        caller.delete(sent.id, 3, author="ben")
        found = []
        while len(found) < 2:
            message = watch.next()
            found += message.annotations
            assert not message.slides  # told already
        assert time.monotonic() - started < 5
        assert [(one.revision, one.name, one.author) for one in found] == [(3, "b", "anna"), (4, "b", "ben")]
        assert found[1].change == pb.CHANGE_KIND_DELETED
        assert message.revision == 4


def test_a_change_here_is_told_at_once(caller):
    with caller.watching() as watch:
        watch.next()
        delays = []
        for _ in range(10):
            started = time.monotonic()
            caller.save(new())
            watch.revisions(1)
            delays.append(time.monotonic() - started)
    # Not at the next look, which comes after a second.
    assert sorted(delays)[5] < 0.5


def test_a_change_by_another_process_is_told_soon(caller, place):
    with caller.watching() as watch, open_store(place) as other:
        watch.next()
        other.save([draft()], author="b", request_id=request())
        assert watch.revisions(1, seconds=5) == [1]


def test_when_nothing_happens_it_says_so(caller):
    caller.save(new())
    with caller.watching(since=1) as watch:
        for _ in range(3):
            message = watch.next(seconds=5)
            assert (len(message.annotations), message.revision) == (0, 1)


def test_who_watches_something_hears_when_it_is_so_no_more(caller):
    sent = new(path_class=path_class("Tumor"))
    with caller.watching(path_class="Tumor") as watch:
        caller.save(sent, new())
        caller.save(new(sent.id, revision=1, path_class=path_class("Stroma")))
        caller.save(new(sent.id, revision=3, path_class=path_class("Stroma"), name="x"))
        assert watch.revisions(2) == [1, 3]
        while (message := watch.next()).revision < 4:
            pass
        assert not message.annotations


@pytest.mark.parametrize(
    ("wanted", "revisions"),
    [
        ({"slide_id": SLIDE}, [1, 2]),
        ({"uri": "file:///b"}, [3]),
        ({"project": "P"}, [2]),
        ({"author": "ben"}, [3]),
        ({"region": geo.Box(x0=0, y0=0, x1=5, y1=5)}, [3]),
    ],
    ids=str,
)
def test_filters(caller, wanted, revisions):
    caller.save(new(), new(project="P"))
    small = drawn(pb.SHAPE_KIND_POINTS, [[1, 1]])
    caller.save(
        new(slide_id="other", shape=small),
        author="ben",
        slides=[pb.AnnotatedSlide(slide_id="other", uris=["file:///b"])],
    )
    with caller.watching(**wanted) as watch:
        assert watch.revisions(len(revisions)) == revisions


def test_it_goes_on_where_it_was_left_over_restarts(place):
    serving = Serving(place, LIMITS)
    seen, since = [], 0
    for turn in range(3):
        caller = Caller(serving.target)
        with caller.watching(since=since) as watch:
            caller.save(*[new() for _ in range(20)])
            if turn % 2:
                caller.save(new())  # perhaps not seen before the server stops
            while len(seen) < 10 * (turn + 1):
                message = watch.next()
                seen += [one.revision for one in message.annotations]
                since = message.revision
            serving.stop()
            with pytest.raises(ServerError) as caught:
                while True:
                    message = watch.next()
                    seen += [one.revision for one in message.annotations]
                    since = message.revision
            assert caught.value.status == "UNAVAILABLE"
            assert caught.value.reason == "SHUTTING_DOWN"
        caller.close()
        serving = Serving(place, LIMITS, serving.port)
    caller = Caller(serving.target)
    with caller.watching(since=since) as watch:
        while since < 61:
            message = watch.next()
            seen += [one.revision for one in message.annotations]
            since = message.revision
    caller.close()
    serving.stop()
    assert seen == list(range(1, 62))


def test_a_client_from_the_future_is_told_to_start_anew(caller):
    caller.save(new())
    with caller.watching(since=2) as watch, pytest.raises(ServerError) as caught:
        watch.next()
    assert (caught.value.status, caught.value.reason) == ("OUT_OF_RANGE", "REVISION_AHEAD")
    assert caught.value.details == {"current": "1", "given": "2"}


def test_a_client_that_does_not_read_holds_one_page_and_is_ended(caller, serving):
    # Far more than the connection's own buffers take.
    large = drawn(pb.SHAPE_KIND_LINES, [[0.5 * number for number in range(60_000)]])
    caller.save(*[new(shape=large) for _ in range(25)])
    caller.save(*[new(shape=large) for _ in range(25)])
    pages = []
    changes = serving.store.changes

    async def counted(*arguments, **more):
        pages.append(more["after"])
        return await changes(*arguments, **more)

    serving.store.changes = counted
    request = pb.AnnotationsWatchRequest()
    call = caller.stub.Watch(request)
    first = next(call)
    assert len(first.annotations) >= 1
    time.sleep(LIMITS.watch_stall_seconds + 2)
    read_ahead = len(pages)
    received = [one.revision for one in first.annotations]
    with pytest.raises(grpc.RpcError) as caught:
        for message in call:
            received += [one.revision for one in message.annotations]
    error = server_error(caught.value)
    assert (error.status, error.reason) == ("ABORTED", "WATCH_TOO_SLOW")
    assert error.details["seconds"] == "1.5"
    # It got the beginning without a gap, and knows where to go on.
    assert received == list(range(1, len(received) + 1))
    assert len(received) < 50
    assert read_ahead == len(pages) < 5
    with caller.watching(since=received[-1]) as watch:
        assert watch.revisions(50 - len(received), seconds=30)[-1] == 50


def test_many_watch_at_once(caller):
    with contextlib.ExitStack() as stack:
        watches = [stack.enter_context(caller.watching()) for _ in range(20)]
        caller.save(*[new() for _ in range(3)])
        assert [watch.revisions(3) for watch in watches] == [[1, 2, 3]] * 20
