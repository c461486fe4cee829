import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.waiting import turns
from wsisam_server.inference.embeddings import EmbeddingCache


@dataclass(frozen=True)
class Value:
    name: object
    nbytes: int = 10


def maker(name, nbytes=10, log=None):
    async def make():
        if log is not None:
            log.append(name)
        await turns()
        return Value(name, nbytes)

    return make


async def test_a_second_request_computes_nothing():
    cache, log = EmbeddingCache(100), []
    first = await cache.get("a", maker("a", log=log))
    second = await cache.get("a", maker("a", log=log))
    assert first == (Value("a"), True)
    assert second == (Value("a"), False)
    assert log == ["a"]


async def test_requests_at_the_same_time_share_one_computation():
    cache, log = EmbeddingCache(100), []
    values = await asyncio.gather(*(cache.get("a", maker("a", log=log)) for _ in range(10)))
    assert log == ["a"]
    assert {value for value, _ in values} == {Value("a")}
    assert cache.counters.computed == 1
    assert cache.counters.joined == 9


async def test_what_is_discarded_while_it_is_computed_reaches_who_waits_and_is_not_kept():
    cache, go, log = EmbeddingCache(100), asyncio.Event(), []

    async def held():
        await go.wait()
        return Value("old")

    for name in "ab":
        await cache.get((name, 1), maker(name))
    waiting = asyncio.ensure_future(cache.get(("a", 2), held))
    await turns()
    cache.discard_where(lambda key: key[0] == "a")
    assert [key in cache for key in (("a", 1), ("a", 2), ("b", 1))] == [False, False, True]
    assert cache.nbytes == 10
    # Who asks now does not join what was begun before.
    assert (await cache.get(("a", 2), maker("new", log=log)))[0] == Value("new")
    go.set()
    assert await waiting == (Value("old"), True)
    assert (await cache.get(("a", 2), maker("newer", log=log)))[0] == Value("new")
    assert log == ["new"]


async def test_the_least_recently_used_goes_first():
    cache = EmbeddingCache(30)
    for name in "abc":
        await cache.get(name, maker(name))
    await cache.get("a", maker("a"))
    await cache.get("d", maker("d"))
    assert [name in cache for name in "abcd"] == [True, False, True, True]


async def test_what_passes_by_takes_half_of_what_people_come_back_to_and_no_more():
    cache, mine, theirs = EmbeddingCache(100), "abcdefghij", [str(number) for number in range(30)]
    for name in mine:
        await cache.get(name, maker(name))
    for name in theirs:
        await cache.get(name, maker(name), background=True)
        assert name in cache
    assert [name for name in mine if name in cache] == list(mine[5:])
    assert [name for name in theirs if name in cache] == theirs[-5:]
    assert cache.nbytes == 100


async def test_what_passes_by_takes_all_free_room_and_gives_it_back_when_it_is_the_oldest():
    cache = EmbeddingCache(100)
    for name in range(30):
        await cache.get(name, maker(name), background=True)
    assert all(name in cache for name in range(20, 30))
    for name in "abcdefghij":
        await cache.get(name, maker(name))
    assert not any(name in cache for name in range(30))


async def test_what_somebody_comes_back_to_passes_by_no_longer():
    cache = EmbeddingCache(40)
    for name in "ab":
        await cache.get(name, maker(name), background=True)
    await cache.get("a", maker("a"))
    joined = cache.get("c", maker("c"), background=True), cache.get("c", maker("c"))
    await asyncio.gather(*joined)
    await cache.get("a", maker("a"), background=True)
    for name in range(10):
        await cache.get(name, maker(name), background=True)
    assert [name in cache for name in "abc"] == [True, False, True]


async def test_a_value_larger_than_the_cache_is_returned_and_not_kept():
    cache = EmbeddingCache(30)
    await cache.get("small", maker("small"))
    assert await cache.get("big", maker("big", 31)) == (Value("big", 31), True)
    assert "big" not in cache
    assert "small" in cache


async def test_an_error_reaches_all_who_wait_and_is_not_kept():
    cache = EmbeddingCache(100)

    async def fail():
        await turns()
        raise RuntimeError("no")

    results = await asyncio.gather(*(cache.get("a", fail) for _ in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["no"] * 3
    assert await cache.get("a", maker("a")) == (Value("a"), True)


async def test_cancelling_one_of_two_leaves_the_computation_to_the_other():
    cache, gate = EmbeddingCache(100), asyncio.Event()

    async def slow():
        await gate.wait()
        return Value("a")

    first, second = (asyncio.ensure_future(cache.get("a", slow)) for _ in range(2))
    await turns()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    gate.set()
    assert await second == (Value("a"), True)


async def test_cancelling_the_last_one_cancels_the_computation():
    cache, begun, ended = EmbeddingCache(100), asyncio.Event(), asyncio.Event()

    async def slow():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Value("never")

    request = asyncio.ensure_future(cache.get("a", slow))
    await begun.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert "a" not in cache
    # Someone who asks right now gets a computation of their own, not the dying one.
    assert await cache.get("a", maker("a")) == (Value("a"), True)
    await asyncio.wait_for(ended.wait(), 1)


async def test_clear_forgets_values_but_not_computations():
    cache = EmbeddingCache(100)
    await cache.get("a", maker("a"))
    running = asyncio.ensure_future(cache.get("b", maker("b")))
    await turns()
    cache.clear()
    assert (await running)[0] == Value("b")
    assert "a" not in cache
    assert cache.nbytes == 10


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 60), st.booleans()), max_size=80), st.integers(1, 120))
def test_the_limit_is_never_passed_and_the_count_is_exact(requests, limit):
    sizes = {}

    async def run():
        cache = EmbeddingCache(limit)
        for start in range(0, len(requests), 4):
            burst = requests[start : start + 4]
            calls = (
                cache.get(key, maker(key, sizes.setdefault(key, size)), background=background)
                for key, size, background in burst
            )
            await asyncio.gather(*calls)
            held = sum(sizes[key] for key in sizes if key in cache)
            assert cache.nbytes == held <= limit
            assert cache.counters.peak_bytes <= limit

    asyncio.run(run())
