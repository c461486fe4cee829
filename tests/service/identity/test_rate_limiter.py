"""The bucket of messages that each user has."""

import pytest

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.identity import RateLimiter
from wsisam_server.service.identity.rate_limiter import MOST_USERS

RATE, BURST = 4, 3


@pytest.fixture
def clock():
    class Clock:
        now = 1000.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def rate_limiter(clock):
    return RateLimiter(RATE, BURST, clock)


def allowed(rate_limiter, user="anna", tries=20):
    return sum(rate_limiter.allows(user) for _ in range(tries))


def test_a_burst_passes_and_then_the_rate(rate_limiter, clock):
    assert allowed(rate_limiter) == BURST
    clock.now += 1 / RATE
    assert allowed(rate_limiter) == 1
    passed = 0
    for _ in range(400):
        clock.now += 0.025
        passed += allowed(rate_limiter)
    assert passed == pytest.approx(10 * RATE, abs=1)


def test_silence_fills_the_bucket_and_no_more(rate_limiter, clock):
    for silence in (BURST / RATE, 3600):
        allowed(rate_limiter)
        clock.now += silence
        assert allowed(rate_limiter) == BURST


def test_what_is_refused_is_not_counted(rate_limiter, clock):
    allowed(rate_limiter, tries=10_000)
    clock.now += 1 / RATE
    assert allowed(rate_limiter) == 1


def test_users_have_buckets_of_their_own(rate_limiter):
    allowed(rate_limiter)
    assert allowed(rate_limiter, "bob") == allowed(rate_limiter, "") == BURST
    with pytest.raises(WsiSamServerError) as caught:
        rate_limiter.take("anna")
    assert caught.value.reason is Reason.TOO_MANY_MESSAGES
    assert caught.value.details == {"limit": str(RATE)}


def test_after_the_time_of_the_hint_it_is_taken_at_the_lowest_rate_that_can_be_set(clock):
    rate_limiter = RateLimiter(1, 1, clock)
    assert allowed(rate_limiter) == 1
    clock.now += Reason.TOO_MANY_MESSAGES.value.retry_seconds
    assert allowed(rate_limiter) == 1


async def test_who_must_be_read_is_read_later(rate_limiter, clock, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        clock.now += seconds

    monkeypatch.setattr("asyncio.sleep", sleep)
    for _ in range(BURST + 3):
        await rate_limiter.wait("anna")
    assert slept == pytest.approx([1 / RATE] * 3)


async def test_a_large_message_counts_as_several(rate_limiter, clock, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    await rate_limiter.wait("anna", BURST + 2.5)
    assert slept == pytest.approx([2.5 / RATE])
    assert allowed(rate_limiter, "ben") == BURST


def test_those_who_send_nothing_any_more_are_forgotten(rate_limiter, clock):
    for number in range(MOST_USERS):
        rate_limiter.allows(str(number))
    clock.now += 1 / RATE
    allowed(rate_limiter, "anna")
    rate_limiter.allows("ben")
    assert set(rate_limiter._due) == {"anna", "ben"}
    assert not rate_limiter.allows("anna")
