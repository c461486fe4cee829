"""The bucket of messages that each user has."""

import pytest

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.identity import Pace
from wsisam_server.service.identity.pace import MOST_USERS

RATE, BURST = 4, 3


@pytest.fixture
def clock():
    class Clock:
        now = 1000.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def pace(clock):
    return Pace(RATE, BURST, clock)


def allowed(pace, user="anna", tries=20):
    return sum(pace.allows(user) for _ in range(tries))


def test_a_burst_passes_and_then_the_rate(pace, clock):
    assert allowed(pace) == BURST
    clock.now += 1 / RATE
    assert allowed(pace) == 1
    passed = 0
    for _ in range(400):
        clock.now += 0.025
        passed += allowed(pace)
    assert passed == pytest.approx(10 * RATE, abs=1)


def test_silence_fills_the_bucket_and_no_more(pace, clock):
    for silence in (BURST / RATE, 3600):
        allowed(pace)
        clock.now += silence
        assert allowed(pace) == BURST


def test_what_is_refused_is_not_counted(pace, clock):
    allowed(pace, tries=10_000)
    clock.now += 1 / RATE
    assert allowed(pace) == 1


def test_users_have_buckets_of_their_own(pace):
    allowed(pace)
    assert allowed(pace, "bob") == allowed(pace, "") == BURST
    with pytest.raises(WsiSamServerError) as caught:
        pace.take("anna")
    assert caught.value.reason is Reason.TOO_MANY_MESSAGES
    assert caught.value.details == {"limit": str(RATE)}


def test_after_the_time_of_the_hint_it_is_taken_at_the_lowest_rate_that_can_be_set(clock):
    pace = Pace(1, 1, clock)
    assert allowed(pace) == 1
    clock.now += Reason.TOO_MANY_MESSAGES.value.retry_seconds
    assert allowed(pace) == 1


async def test_who_must_be_read_is_read_later(pace, clock, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        clock.now += seconds

    monkeypatch.setattr("asyncio.sleep", sleep)
    for _ in range(BURST + 3):
        await pace.wait("anna")
    assert slept == pytest.approx([1 / RATE] * 3)


async def test_a_large_message_counts_as_several(pace, clock, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    await pace.wait("anna", BURST + 2.5)
    assert slept == pytest.approx([2.5 / RATE])
    assert allowed(pace, "ben") == BURST


def test_those_who_send_nothing_any_more_are_forgotten(pace, clock):
    for number in range(MOST_USERS):
        pace.allows(str(number))
    clock.now += 1 / RATE
    allowed(pace, "anna")
    pace.allows("ben")
    assert set(pace._due) == {"anna", "ben"}
    assert not pace.allows("anna")
