"""One stream's prompts: the latest revision of an object wins, and each gets exactly one answer."""

import asyncio
import uuid
from dataclasses import replace

import pytest

from support.drawn_slide import AnnotatedSlide, opened
from support.fake_engine import FakeModels
from wsisam_server.annotations.store import Commit
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box, Point
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.core.requests import Request
from wsisam_server.core.settings import Limits
from wsisam_server.segmentation.segmenter import Segmenter
from wsisam_server.service.identity import RateLimiter
from wsisam_server.service.sessions.admission import Admission
from wsisam_server.service.sessions.commit_service import CommitService
from wsisam_server.service.sessions.events import Failed, OutlineReady, WaitingForEncoder
from wsisam_server.service.sessions.session import Session
from wsisam_server.slides import OpenSlides, SlideAccess

CELL = (1000.0, 800.0)
BOX = SlidePrompt(box=Box(960, 760, 1040, 840))
CLICK = SlidePrompt((PromptPoint(Point(*CELL), positive=True),))
LIMITS = Limits(prefetched_fields=0, objects_per_session=3, queued_prompts_per_stream=2, queued_prompts_per_user=10)


@pytest.fixture
def models():
    return FakeModels()


@pytest.fixture
def slide():
    return AnnotatedSlide((4000, 3000), Box(-2, -2, -1, -1), [CELL])


@pytest.fixture
async def segmenter(tmp_path, models):
    segmenter = Segmenter(OpenSlides(SlideAccess((tmp_path,), ()), LIMITS), models, LIMITS)
    yield segmenter
    await segmenter.close()


@pytest.fixture
def events():
    return []


@pytest.fixture
def admission():
    return Admission(RateLimiter(1000, 1000), LIMITS)


@pytest.fixture
async def session(segmenter, slide, events, admission, tmp_path, monkeypatch):
    slide_id = opened(segmenter, slide, tmp_path / "drawn.png", monkeypatch)
    common = Request(slide_id, SlidePrompt())
    session = Session(segmenter, common, LIMITS, CommitService(segmenter, None), admission, events.append)
    yield session
    await session.close()


def ask(session, object_id, revision, prompt, commit=None):
    """Sends one revision."""
    session.prompt(object_id, revision, replace(session.common, prompt=prompt), commit)


def answers(events):
    """What ended: the object, the revision, and the reason where it failed."""
    return [
        (one.object_id, one.revision, getattr(getattr(one, "error", None), "reason", None))
        for one in events
        if isinstance(one, OutlineReady | Failed)
    ]


async def test_a_prompt_that_waits_for_an_encoder_emits_that_and_is_answered(session, events):
    ask(session, "a", 1, BOX)
    await session.idle()
    assert events[0] == WaitingForEncoder("a", 1)
    assert answers(events) == [("a", 1, None)]
    assert events[-1].outcome.outline.geometry.area > 2000


async def test_the_next_revision_stays_in_its_field_and_gets_the_last_answer_fed_back(session, events, models):
    ask(session, "a", 1, BOX)
    await session.idle()
    ask(session, "a", 2, SlidePrompt(CLICK.points, BOX.box))
    await session.idle()
    first, second = (event.outcome for event in events if isinstance(event, OutlineReady))
    assert second.field == first.field
    assert models.engine.asked[-1].mask is first.logits
    assert models.engine.counters.computed == 1


async def test_a_newer_revision_supersedes_one_that_waits(session, events, models):
    ask(session, "a", 1, BOX)
    ask(session, "a", 2, CLICK)
    await session.idle()
    assert answers(events) == [("a", 1, Reason.SUPERSEDED), ("a", 2, None)]
    assert [job.prompt for job in models.engine.asked] == [CLICK]


@pytest.mark.parametrize("revision", [1, 2])
async def test_an_older_revision_is_refused_and_changes_nothing(session, events, revision):
    ask(session, "a", 2, BOX)
    with pytest.raises(WsiSamServerError) as caught:
        ask(session, "a", revision, CLICK)
    assert caught.value.reason is Reason.STALE_REVISION
    await session.idle()
    assert answers(events) == [("a", 2, None)]


async def test_a_full_queue_refuses_what_is_new_but_not_a_newer_revision(session, events):
    ask(session, "a", 1, BOX)
    ask(session, "b", 1, BOX)
    with pytest.raises(WsiSamServerError) as caught:
        ask(session, "c", 1, BOX)
    assert caught.value.reason is Reason.QUEUE_FULL
    ask(session, "a", 2, BOX)
    await session.idle()
    assert sorted(answers(events)) == [("a", 1, Reason.SUPERSEDED), ("a", 2, None), ("b", 1, None)]


async def test_objects_are_counted_until_they_are_cancelled(session):
    for name in "abc":
        ask(session, name, 1, BOX)
        await session.idle()
    with pytest.raises(WsiSamServerError) as caught:
        ask(session, "d", 1, BOX)
    assert caught.value.reason is Reason.TOO_MANY_OBJECTS
    session.cancel("a")
    ask(session, "d", 1, BOX)
    await session.idle()


async def test_a_cancelled_prompt_is_answered_once_and_its_object_may_begin_again(session, events, models):
    ask(session, "a", 5, BOX)
    session.cancel("a")
    ask(session, "a", 1, BOX)
    await session.idle()
    assert answers(events) == [("a", 5, Reason.PROMPT_CANCELLED), ("a", 1, None)]
    assert len(models.engine.asked) == 1


async def test_one_prompts_error_is_its_own(session, events, models):
    models.engine.errors.append(WsiSamServerError(Reason.OUT_OF_DEVICE_MEMORY))
    ask(session, "a", 1, BOX)
    await session.idle()
    ask(session, "b", 1, SlidePrompt(box=Box(9000, 0, 9100, 100)))
    ask(session, "a", 2, BOX)
    await session.idle()
    assert sorted(answers(events), key=lambda one: one[:2]) == [
        ("a", 1, Reason.OUT_OF_DEVICE_MEMORY),
        ("a", 2, None),
        ("b", 1, Reason.PROMPT_OUTSIDE_SLIDE),
    ]


async def test_handing_back_answers_each_waiting_prompt_once(session, events):
    ask(session, "a", 1, BOX)
    ask(session, "b", 1, BOX)
    session.hand_back(Reason.SHUTTING_DOWN)
    await session.idle()
    assert answers(events) == [("a", 1, Reason.SHUTTING_DOWN), ("b", 1, Reason.SHUTTING_DOWN)]


async def test_what_waits_is_given_back_to_its_user_however_it_ends(session, admission, models, slide):
    models.engine.errors.append(WsiSamServerError(Reason.OUT_OF_DEVICE_MEMORY))
    ask(session, "a", 1, BOX)
    ask(session, "b", 1, BOX)
    session.cancel("b")
    await session.idle()
    for _ in range(10):
        admission.quota.take("")


async def test_a_closed_session_says_nothing_more_and_holds_no_model(session, events, models, slide):
    reading, loop = asyncio.Event(), asyncio.get_running_loop()
    slide.before = lambda _: loop.call_soon_threadsafe(reading.set)
    ask(session, "a", 1, BOX)
    await asyncio.wait_for(reading.wait(), 60)
    await session.close()
    assert answers(events) == []
    assert models.leased["held"] == 0


async def test_keeping_without_a_store_is_refused_before_the_model_is_asked(session, events, models):
    ask(session, "a", 1, BOX, commit=Commit(uuid.uuid4(), 0, "anna"))
    await session.idle()
    assert answers(events) == [("a", 1, Reason.STORE_OFF)]
    assert models.engine.asked == []
