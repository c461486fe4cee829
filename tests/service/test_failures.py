"""Who asks for what fails is answered more slowly, and nobody else is."""

import pytest

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.identity import Role, User
from wsisam_server.service.identity.user import set_user
from wsisam_server.service.sessions import quota
from wsisam_server.service.sessions.quota import READ, FailureLimiter

UNREADABLE, EMPTY = WsiSamServerError(Reason.SLIDE_UNREADABLE), WsiSamServerError(Reason.EMPTY_PROMPT)


@pytest.fixture
def slept(monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    monkeypatch.setattr(quota, "PER_SECOND", 0.001)
    monkeypatch.setattr(quota, "AT_ONCE", READ)
    return slept


async def test_a_read_that_failed_counts_as_several_items(slept):
    counted = FailureLimiter()
    for _ in range(READ + 1):
        await counted.call(EMPTY)
    await counted.call(UNREADABLE)
    assert not slept
    await counted.item(EMPTY)
    await counted.call(UNREADABLE)
    assert slept == pytest.approx([1000, 1000 * (READ + 1)], rel=0.01)


async def test_failures_of_one_user_are_not_anothers(slept):
    counted = FailureLimiter()
    for _ in range(READ):
        await counted.item(EMPTY)
    set_user(User("ben", Role.ANNOTATOR))
    await counted.item(EMPTY)
    assert not slept
