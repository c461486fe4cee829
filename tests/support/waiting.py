"""Waits for what a thread, a process or a disk does in its own time: the one place where tests poll."""

import asyncio
import itertools
import time


def until(holds, seconds=30.0, pause=0.01):
    """Waits for a condition that no event tells of.

    Args:
        holds: asked again and again; may fail the test itself, with words of its own.
        seconds: after which the test fails.
        pause: seconds between two questions.

    Returns:
        What `holds` gave at last.
    """
    for step in _steps(holds, seconds):
        if step:
            return step
        time.sleep(pause)
    raise AssertionError("unreachable")


async def until_soon(holds, seconds=30.0, pause=0.01):
    """The same on an event loop, which goes on meanwhile."""
    for step in _steps(holds, seconds):
        if step:
            return step
        await asyncio.sleep(pause)
    raise AssertionError("unreachable")


async def turns(count=10):
    """Lets all that is ready on the event loop go on: so many turns of it, no time."""
    for _ in range(count):
        await asyncio.sleep(0)


def _steps(holds, seconds):
    deadline = time.monotonic() + seconds
    for number in itertools.count():
        assert number == 0 or time.monotonic() < deadline, f"not within {seconds} s"
        yield holds()
