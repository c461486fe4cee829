"""What every engine must do, wherever it runs its model: a class of tests that each engine's tests inherit.

They need the fixtures `engine` (an Engine of wsisam-lite), `cache` (the record of what it keeps) and `reference` (a
local engine of the same model on one thread).
"""

import asyncio
import threading
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box, FieldPair, Point, Window
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.inference.scheduler import Job

_slides = count()


def pixels(window):
    """A dark square on a pale ground, whose shade tells windows apart."""
    image = np.full((window.size, window.size, 3), 230, np.uint8)
    image[70:180, 70:180] = (120, 60, 100 + int(window.x / 1000) % 50)
    return image


def job(x=0.0, slide="slide", read=pixels, **more):
    prompt = more.pop("prompt", SlidePrompt(box=Box(x + 60, 60, x + 190, 190)))
    return Job(slide_id=slide, read=read, field=FieldPair(Window(x, 0.0, 1.0, 256)), prompt=prompt, **more)


@pytest.fixture
def slide():
    """An id that no other test has used: engines may be shared."""
    return f"slide {next(_slides)}"


class EngineContract:
    async def test_an_answer_and_its_times(self, engine, slide):
        answer = await engine.predict(job(slide=slide))
        assert answer.logits.shape == (256, 256)
        assert (answer.logits[80:170, 80:170] > 0).mean() > 0.95
        assert (answer.logits[:50] > 0).mean() < 0.05
        assert answer.times.encoder_runs == 1
        assert answer.times.encode > 0
        assert answer.times.decode > 0

    async def test_answers_are_those_of_the_reference(self, engine, reference, slide):
        click = SlidePrompt(points=(PromptPoint(Point(1120, 120), positive=True),))
        for x, more in ((0.0, {}), (1000.0, {"prompt": click}), (0.0, {"interactive": False})):
            asked = job(x, slide, **more)
            answer, expected = await engine.predict(asked), await reference.predict(asked)
            assert np.array_equal(answer.logits, expected.logits)
            assert answer.score == expected.score
        fed = job(slide=slide, mask=expected.logits)
        assert np.array_equal((await engine.predict(fed)).logits, (await reference.predict(fed)).logits)

    async def test_candidates_come_where_they_are_wanted(self, engine, reference, slide):
        asked = replace(job(slide=slide), candidates=True)
        answer, expected = await engine.predict(asked), await reference.predict(asked)
        assert len(answer.candidates) == 3
        assert answer.ranked == expected.ranked
        for one, other in zip(answer.candidates, expected.candidates, strict=True):
            assert np.array_equal(one.logits, other.logits)
            assert one.score == other.score
        alone = await engine.predict(job(slide=slide))
        assert alone.candidates == ()
        assert np.array_equal(alone.logits, answer.logits)

    async def test_the_second_prompt_in_a_field_runs_no_encoder(self, engine, cache, slide):
        told, reads, before = [], [], cache.counters.computed

        def counted(window):
            reads.append(window)
            return pixels(window)

        await engine.predict(job(slide=slide, read=counted, on_encode=lambda: told.append(1)))
        assert engine.missing_windows(job(slide=slide)) == []
        second = await engine.predict(job(slide=slide, read=counted, on_encode=lambda: told.append(2)))
        assert second.times.encoder_runs == 0
        assert told == [1]
        assert len(reads) == 1
        assert cache.counters.computed == before + 1

    async def test_a_field_that_was_prefetched_needs_no_pixels(self, engine, slide):
        def nothing(window):
            raise WsiSamServerError(Reason.SLIDE_UNREADABLE)

        prepared = await engine.prefetch(job(slide=slide))
        assert prepared.nbytes > 100_000
        assert prepared.times.encoder_runs == 1
        assert (await engine.predict(job(slide=slide, read=nothing))).times.encoder_runs == 0

    async def test_prompts_in_one_field_at_the_same_time_share_the_encoder_run(self, engine, cache, slide):
        before = cache.counters.computed
        answers = await asyncio.gather(*(engine.predict(job(slide=slide)) for _ in range(5)))
        assert cache.counters.computed == before + 1
        assert all(np.array_equal(answer.logits, answers[0].logits) for answer in answers)

    async def test_what_is_cancelled_leaves_nothing_behind(self, engine, slide):
        begun, go_on = threading.Event(), threading.Event()

        def held(window):
            begun.set()
            assert go_on.wait(60)
            return pixels(window)

        asked = [asyncio.ensure_future(engine.predict(job(1000.0 * n, slide, held))) for n in range(6)]
        assert await asyncio.to_thread(begun.wait, 60)
        for task in asked[1:]:
            task.cancel()
        go_on.set()
        await asyncio.gather(*asked, return_exceptions=True)
        assert (asked[0].result().logits > 0).any()
        assert [n for n in range(1, 6) if not engine.missing_windows(job(1000.0 * n, slide))] == []

    async def test_an_unreadable_slide_is_the_callers_error_and_not_kept(self, engine, slide):
        def fail(window):
            raise WsiSamServerError(Reason.SLIDE_UNREADABLE)

        with pytest.raises(WsiSamServerError) as caught:
            await engine.predict(job(slide=slide, read=fail))
        assert caught.value.reason is Reason.SLIDE_UNREADABLE
        assert (await engine.predict(job(slide=slide))).times.encoder_runs == 1
