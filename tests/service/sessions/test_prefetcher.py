"""In which order, and when, fields are encoded before anybody asks."""

import asyncio
import time

import pytest

from support.waiting import turns, until_soon
from wsisam_server.core.geometry import FieldPair, Window
from wsisam_server.service.sessions import prefetcher
from wsisam_server.service.sessions.prefetcher import Prefetcher

A, B, C = (FieldPair(Window(256.0 * number, 0, 1, 256)) for number in range(3))


class Encoder:
    """Encodes a field when it is let go on."""

    def __init__(self):
        self.asked, self.cancelled, self._may = [], [], asyncio.Semaphore(0)

    async def __call__(self, field):
        self.asked.append(field)
        try:
            await self._may.acquire()
        except asyncio.CancelledError:
            self.cancelled.append(field)
            raise

    async def let(self, count):
        for _ in range(count):
            self._may.release()
            await turns()


def run(scenario):
    async def whole():
        encoder = Encoder()
        fields = Prefetcher(encoder)
        await scenario(fields, encoder)
        await fields.close()

    asyncio.run(whole())


def test_one_after_the_other():
    async def scenario(fields, encoder):
        fields.look([A, B])
        await turns()
        assert (encoder.asked, list(fields.begun)) == ([A], [A])
        fields.look([A, B])
        await encoder.let(1)
        assert (encoder.asked, list(fields.begun)) == ([A, B], [A, B])
        assert encoder.cancelled == []

    run(scenario)


def test_a_look_elsewhere_keeps_what_is_done_and_drops_the_rest():
    async def scenario(fields, encoder):
        fields.look([A, B])
        await turns()
        await encoder.let(1)
        fields.look([C])
        await turns()
        assert encoder.cancelled == [B]
        assert encoder.asked == [A, B, C]
        assert list(fields.begun) == [A, C]

    run(scenario)


def test_a_field_that_is_needed_again_stays():
    async def scenario(fields, encoder):
        fields.look([A, B])
        await turns()
        fields.look([A, C])
        await turns()
        assert encoder.asked == [A, A]
        assert list(fields.begun) == [A]

    run(scenario)


def test_a_field_that_cannot_be_encoded_ends_the_guessing():
    async def failing(_):
        raise ValueError

    async def scenario():
        fields = Prefetcher(failing)
        fields.look([A, B])
        await turns()
        assert list(fields.begun) == []
        await fields.close()

    asyncio.run(scenario())


def test_nothing_begins_while_prompts_come(monkeypatch):
    monkeypatch.setattr(prefetcher, "QUIET_SECONDS", 0.2)

    async def scenario(fields, encoder):
        fields.look([A, B])
        await turns()
        fields.prompted()
        prompted = time.monotonic()
        await encoder.let(1)
        assert encoder.asked == [A]
        await until_soon(lambda: encoder.asked != [A])
        assert time.monotonic() - prompted >= 0.2
        assert encoder.asked == [A, B]

    run(scenario)


@pytest.mark.parametrize("more", [1, 5])
def test_old_fields_are_forgotten(monkeypatch, more):
    monkeypatch.setattr(prefetcher, "REMEMBERED", 2)

    async def scenario(fields, encoder):
        fields.look([A, B, C][: 1 + more])
        await encoder.let(3)
        assert list(fields.begun) == ([A, B] if more == 1 else [B, C])

    run(scenario)
