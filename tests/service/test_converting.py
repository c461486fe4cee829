"""One user's large messages do not hold up another's."""

import asyncio
import contextvars
import threading

import pytest

from support.annotations import area
from support.waiting import turns
from wsisam.v1 import annotations_pb2 as an
from wsisam.v1 import geometry_pb2 as geo
from wsisam_server.core.cancellation import WorkCancelledError, cancellable, checkpoint
from wsisam_server.service.identity import Role, User
from wsisam_server.service.identity.user import set_user
from wsisam_server.service.servicers.converting import LARGE, Converter, count_parts
from wsisam_server.wire import from_proto


@pytest.fixture
async def converter():
    converter = Converter()
    yield converter
    await converter.close()


def task_of(name, coroutine):
    """A task of a user's call."""
    context = contextvars.copy_context()
    context.run(set_user, User(name, Role.ANNOTATOR))
    return context.run(asyncio.ensure_future, coroutine)


async def test_a_users_large_messages_wait_for_each_other_and_anothers_do_not(converter):
    begun, free = threading.Semaphore(0), threading.Event()

    def hold():
        begun.release()
        free.wait(20)

    held = [task_of("anna", converter.run(LARGE, hold)) for _ in range(2)]
    assert await asyncio.to_thread(begun.acquire, timeout=10)
    assert await asyncio.wait_for(task_of("ben", converter.run(LARGE, lambda: "made")), 10) == "made"
    assert not begun.acquire(blocking=False)
    free.set()
    await asyncio.gather(*held)
    here = threading.current_thread()
    assert await converter.run(LARGE - 1, threading.current_thread) is here
    assert await converter.run(LARGE, threading.current_thread) is not here


async def test_a_users_large_saves_are_one_at_a_time(converter):
    async def save(parts):
        async with converter.alone(parts):
            return await asyncio.sleep(0, parts)

    free = asyncio.Event()
    running = task_of("anna", hold_alone(converter, free))
    await turns()
    waits = task_of("anna", save(LARGE))
    assert await asyncio.wait_for(task_of("anna", save(LARGE - 1)), 10) == LARGE - 1
    assert await asyncio.wait_for(task_of("ben", save(LARGE)), 10) == LARGE
    assert not waits.done()
    free.set()
    await asyncio.gather(running, waits)


async def hold_alone(converter, free):
    async with converter.alone(LARGE):
        await free.wait()


async def test_a_conversion_ends_that_nobody_waits_for(converter):
    begun, ended = threading.Event(), threading.Event()

    def convert():
        begun.set()
        try:
            while True:
                checkpoint()
        except WorkCancelledError:
            ended.set()
            raise

    task = task_of("anna", converter.run(LARGE, convert))
    assert await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    assert await asyncio.to_thread(ended.wait, 10)


def test_existing_objects_are_made_until_nobody_waits_for_them():
    given_up = threading.Event()
    given_up.set()
    with cancellable(given_up), pytest.raises(WorkCancelledError):
        from_proto._areas_of([geo.MultiPolygon()], "existing")


def test_whatever_makes_an_annotation_large_is_counted():
    ring = geo.Ring(deltas=[0] * 2 * LARGE)
    path = an.DrawnPath(coordinates=[0.0] * 2 * LARGE)
    for large in (
        an.Annotation(shape=an.Shape(area=geo.MultiPolygon(polygons=[geo.Polygon(rings=[ring])]))),
        an.Annotation(shape=an.Shape(area=geo.MultiPolygon(polygons=[geo.Polygon(rings=[geo.Ring()] * LARGE)]))),
        an.Annotation(shape=an.Shape(drawn=an.DrawnShape(parts=[an.DrawnPart(paths=[path])]))),
        an.Annotation(shape=an.Shape(drawn=an.DrawnShape(parts=[an.DrawnPart()] * LARGE))),
        an.Annotation(measurements={str(number): 1.0 for number in range(LARGE)}),
    ):
        assert count_parts([large]) >= LARGE
    assert count_parts([an.Annotation(shape=area())] * 20) < LARGE
    assert count_parts([an.Annotation(shape=area())] * LARGE) >= LARGE
