"""A request becomes what the engine is asked: checked once, in the field of the object, or in one that is encoded."""

import asyncio
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from wsisam_model import ModelSettings
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box, FieldPair, Point, SlideSize, Window
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.core.requests import AtDownsample, Refinement, Request
from wsisam_server.core.settings import Limits
from wsisam_server.inference.scheduler import ModelInfo
from wsisam_server.segmentation.fields import shared
from wsisam_server.segmentation.planning import Planner, planner
from wsisam_server.segmentation.segmenter import Batch
from wsisam_server.slides import SlideInfo

SLIDE = SlideInfo(SlideSize(20_000, 10_000), 0.5, (1.0,), "slide", "plain:drawn")
MODEL = ModelInfo("one", "", 256, "aa", uses_low=False, settings=ModelSettings())


class Slides:
    """One slide, which is looked at or not."""

    def __init__(self):
        self.looks = 0

    def info(self, slide_id):
        if slide_id != "slide":
            raise WsiSamServerError(Reason.UNKNOWN_SLIDE_ID)
        return SLIDE

    def pushed(self, slide_id):
        return None

    def reader(self, slide_id):
        return lambda _: None

    def checking(self, slide_id, principal):
        self.looks += 1
        done = Future()
        done.set_result(None)
        return done


class Models:
    """One model, of whose fields some are encoded."""

    def __init__(self, encoded=()):
        self.model, self.encoded = MODEL, encoded
        self.device = SimpleNamespace(has_store=True)

    def info(self, name):
        return self.model

    def loaded(self):
        return {self.model.name: 1}

    @asynccontextmanager
    async def lease(self, info, on_load=None):
        async def to_encode(job):
            return [] if job.field in self.encoded else [job.field.high]

        yield SimpleNamespace(to_encode=to_encode)


@pytest.fixture
def checks(monkeypatch):
    """The prompts that were checked."""
    seen, check = [], planner.checked

    def checked(prompt, *args):
        seen.append(prompt)
        return check(prompt, *args)

    monkeypatch.setattr(planner, "checked", checked)
    return seen


def click(x, y, **more):
    return Request("slide", SlidePrompt((PromptPoint(Point(x, y), positive=True),)), **more)


def planned(request, slides=None, models=None, **more):
    fields = []
    plans = Planner(slides or Slides(), models or Models(), Limits())
    found = asyncio.run(plans.plan(request, chosen=fields.append, **more))
    assert fields[-1] == found.field
    return found


def test_a_plan_is_the_prompt_clipped_in_a_field_that_holds_it(checks):
    request = Request("slide", SlidePrompt(box=Box(-50, 100, 60, 220)), principal="anna", interactive=False)
    found = planned(request)
    assert found.job.prompt.box == Box(0, 100, 60, 220)
    assert (found.job.principal, found.job.interactive, found.job.slide_id) == ("anna", False, SLIDE.content_key)
    assert found.field.high.x <= 0
    assert len(checks) == 1


def test_an_object_keeps_its_field_until_a_prompt_comes_near_its_edge():
    first = planned(click(5000, 5000)).field
    high = first.high
    inside, outside = high.x + high.extent * 0.7, high.x + high.extent * 1.2
    assert planned(click(inside, 5000, previous_field=first)).field == first
    assert planned(click(outside, 5000, previous_field=first)).field != first
    assert planned(click(5000, 5000, previous_field=first, choice=AtDownsample(8))).field.high.downsample == 8
    small = FieldPair(Window(high.x, high.y, high.downsample, 128))
    assert planned(click(high.x + 60, high.y + 60, previous_field=small)).field.high.size == MODEL.image_size


def test_a_first_click_takes_an_encoded_field_that_is_as_good():
    request = click(5070, 5070)
    own = planned(request)
    other = shared(own.job.prompt, own.field, SLIDE.size)
    assert other != own.field
    assert planned(replace(request, prefetched=[other])).field == other
    assert planned(replace(request, prefetched=[other, own.field])).field == own.field
    assert planned(request, models=Models([other])).field == other
    assert planned(request, models=Models([other, own.field])).field == own.field
    # A later prompt that leaves its field, or one whose field was chosen, stays where it was planned.
    far = planned(click(100, 100)).field
    for later in (
        replace(request, previous_field=far),
        replace(request, choice=AtDownsample(own.field.high.downsample)),
    ):
        assert planned(later, models=Models([other])).field == own.field


def test_a_draft_is_not_made_again_unless_the_model_was_replaced(checks):
    slides, models = Slides(), Models()
    provisional = Planner(slides, models, Limits()).provisional_plan(click(5000, 5000))
    assert not slides.looks
    assert planned(provisional.request, slides, models, provisional=provisional).field == provisional.field
    assert (len(checks), slides.looks) == (1, 1)
    models.model = replace(MODEL, image_size=1024)
    assert planned(provisional.request, slides, models, provisional=provisional).field.high.size == 1024
    assert len(checks) == 2


def test_what_is_refused_is_refused_before_the_slide_is_looked_at():
    slides = Slides()
    for request, reason in (
        (click(-1, 5), Reason.PROMPT_OUTSIDE_SLIDE),
        (click(5, 5, refinement=Refinement(max_windows=10_000)), Reason.INVALID_FIELD),
        (Request("another", SlidePrompt()), Reason.UNKNOWN_SLIDE_ID),
    ):
        with pytest.raises(WsiSamServerError) as caught:
            planned(request, slides)
        assert caught.value.reason is reason
    assert not slides.looks


def test_a_batch_is_translated_and_planned_once_and_put_in_order(checks):
    plans, asked = Planner(Slides(), Models(), Limits()), []
    places = [(9000, 9000), (100, 100), (-5, 0), (9010, 9010), (100, 5000)]

    def request(number):
        asked.append(number)
        if number == 4:
            raise WsiSamServerError(Reason.EMPTY_PROMPT)
        return click(*places[number])

    batch = Batch.planned(plans, request, len(places))
    assert batch.order == [2, 4, 1, 0, 3]
    assert asked == [0, 1, 2, 3, 4]
    assert len(checks) == 4
    assert batch.take(0).provisional.field == batch.take(3).provisional.field
    assert batch.take(2).provisional is None
    assert batch.take(4).request.reason is Reason.EMPTY_PROMPT
