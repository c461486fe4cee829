"""Candidates of a prompt, and prompts that go on from one or from a shape; on an engine that answers at once."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from support.drawn_slide import AnnotatedSlide, opened
from support.fake_engine import FakeModels
from wsisam_model import Prompt
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box, Point
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.core.requests import AtDownsample, OutlineOptions, Refinement, Request
from wsisam_server.core.settings import Limits
from wsisam_server.segmentation.outlines import finished, shape_mask
from wsisam_server.segmentation.outlines.correcting import MOST
from wsisam_server.segmentation.segmenter import Segmenter, outcome, predicting
from wsisam_server.slides import OpenSlides, SlideAccess

CELL = (1000.0, 800.0)
LIMITS = Limits(points_per_prompt=5, prefetched_fields=0, refinement_windows=16)
FOUR = OutlineOptions(max_candidates=4)
SMALLER, ALIKE, LARGER = 1, 2, 3
"""Of the candidates of a model of dark parts."""


def click(x=CELL[0], y=CELL[1], *, positive=True, candidate=None):
    return PromptPoint(Point(x, y), positive, candidate)


CLICK = SlidePrompt((click(),))
AREA = shapely.MultiPolygon([shapely.Point(CELL).buffer(34, quad_segs=4)])
SHAPE = SlidePrompt(shape=AREA)


@pytest.fixture
def models():
    return FakeModels()


@pytest.fixture
def engine(models):
    return models.engine


@pytest.fixture
async def segmenter(tmp_path, models):
    segmenter = Segmenter(OpenSlides(SlideAccess((tmp_path,), ()), LIMITS), models, LIMITS)
    yield segmenter
    await segmenter.close()


@pytest.fixture
def ask(segmenter, tmp_path, monkeypatch):
    slide = AnnotatedSlide((4000, 3000), Box(-2, -2, -1, -1), [CELL])
    slide_id = opened(segmenter, slide, tmp_path / "drawn.png", monkeypatch)

    async def asked(prompt=CLICK, **more):
        return await segmenter.segment(Request(slide_id, prompt, **more))

    return asked


def numbers(outcome):
    return [one.number for one in outcome.candidates]


async def test_candidates_come_in_ascending_area_out_of_one_decode(ask, engine):
    outcome = await ask(options=FOUR)
    assert numbers(outcome) == [SMALLER, 0, LARGER]
    areas = [one.outline.geometry.area for one in outcome.candidates]
    assert areas == sorted(areas)
    assert len(engine.asked) == 1


async def test_the_outline_is_the_chosen_candidate(ask):
    outcome = await ask(options=FOUR)
    chosen = outcome.candidates[outcome.chosen]
    assert chosen.outline is outcome.outline
    assert (chosen.score, chosen.encoded, chosen.unhonoured) == (outcome.score, outcome.encoded, outcome.unhonoured)


async def test_the_own_answer_is_the_same_with_and_without_candidates(ask, engine):
    alone = await ask()
    assert alone.outline == (await ask(options=FOUR)).outline
    assert (alone.candidates, alone.masks) == ((), None)
    assert [job.candidates for job in engine.asked] == [False, True]


async def test_a_second_click_costs_no_decode_more(ask, engine):
    first = await ask(options=FOUR)
    both = SlidePrompt((click(), click(1010, 800)))
    await ask(both, options=FOUR, earlier=first, previous_field=first.field)
    assert len(engine.asked) == 2
    assert engine.asked[-1].mask is first.logits


async def test_the_next_click_goes_on_from_the_candidate_that_is_seen(ask, engine):
    first = await ask(options=FOUR)
    both = SlidePrompt((click(), click(1010, 800, candidate=LARGER)))
    await ask(both, options=FOUR, earlier=first, previous_field=first.field)
    assert len(engine.asked) == 2
    assert engine.asked[-1].mask is first.masks[LARGER]
    assert (engine.asked[-1].mask > 0).sum() > (first.logits > 0).sum()


async def test_also_from_one_that_nearly_equals_another(ask, engine):
    first = await ask(options=FOUR)
    both = SlidePrompt((click(), click(1010, 800, candidate=ALIKE)))
    await ask(both, earlier=first, previous_field=first.field)
    assert engine.asked[-1].mask is first.masks[ALIKE]


async def test_an_answer_that_is_not_there_is_made_again(ask, engine):
    first = await ask(options=FOUR)
    both = SlidePrompt((click(), click(1010, 800, candidate=LARGER)))
    in_steps = await ask(both, earlier=first, previous_field=first.field)
    whole = await ask(both, previous_field=first.field)
    assert len(engine.asked) == 4
    assert np.array_equal(engine.asked[-1].mask, first.masks[LARGER])
    assert whole.outline == in_steps.outline


async def test_also_where_it_was_answered_without_candidates(ask, engine):
    boxed = await ask(SlidePrompt(box=Box(960, 760, 1040, 840)))
    more = SlidePrompt((click(candidate=SMALLER),), box=Box(960, 760, 1040, 840))
    await ask(more, earlier=boxed, previous_field=boxed.field)
    again, corrected = engine.asked[1:]
    assert (again.prompt.points, again.mask) == ((), None)
    assert (corrected.mask > 0).sum() < (boxed.logits > 0).sum()


async def test_a_click_after_a_box_is_held_to_the_answer_of_the_box(ask, engine, monkeypatch):
    """Whether the two come one after the other or at once."""
    box = SlidePrompt(box=Box(960, 760, 1040, 840))
    more = replace(box, points=(click(1050, 800),))
    boxed = await ask(box)
    of_a_click = replace(await engine.predict(engine.asked[-1]), logits=np.full_like(boxed.logits, -9))

    async def nothing_anywhere(job):
        engine.asked.append(job)
        return of_a_click

    predict = engine.predict
    monkeypatch.setattr(engine, "predict", lambda job: nothing_anywhere(job) if job.prompt.points else predict(job))
    found = await ask(more, earlier=boxed, previous_field=boxed.field)
    far = np.s_[:, :40]
    assert np.allclose(found.logits[far], MOST * boxed.logits[far] + (1 - MOST) * -9, atol=0.05)
    assert np.array_equal((await ask(more, previous_field=boxed.field)).logits, found.logits)
    other_box = replace(more, box=Box(955, 755, 1045, 845))
    assert np.allclose((await ask(other_box, earlier=boxed, previous_field=boxed.field)).logits[far], -9)


@pytest.mark.parametrize(("score", "kept"), [(0.4, 0), (0.65, MOST / 2), (0.95, MOST)])
async def test_a_further_click_is_held_to_an_answer_that_the_model_trusts(ask, engine, monkeypatch, score, kept):
    first = replace(await ask(), score=score)
    of_two = replace(await engine.predict(engine.asked[-1]), logits=np.full_like(first.logits, -9))

    async def nothing_anywhere(job):
        return of_two

    monkeypatch.setattr(engine, "predict", nothing_anywhere)
    found = await ask(SlidePrompt((click(), click(1010, 800))), earlier=first, previous_field=first.field)
    far = np.s_[:, :20]
    assert np.allclose(found.logits[far], kept * first.logits[far] + (1 - kept) * -9, atol=0.05)


async def test_each_point_that_names_a_candidate_goes_on_from_it(ask, engine):
    prompt = SlidePrompt((click(), click(1010, 800, candidate=LARGER), click(990, 800, candidate=SMALLER)))
    await ask(prompt)
    assert [len(job.prompt.points) for job in engine.asked] == [1, 2, 3]
    assert [job.mask is not None for job in engine.asked] == [False, True, True]


async def test_the_candidate_that_is_meant_is_the_outline(ask):
    four = {one.number: one for one in (await ask(options=FOUR)).candidates}
    meant = await ask(SlidePrompt((click(),), candidate=LARGER))
    assert meant.outline == four[LARGER].outline
    assert meant.candidates == ()
    shown = await ask(SlidePrompt((click(),), candidate=LARGER), options=FOUR)
    assert shown.candidates[shown.chosen].number == LARGER
    assert shown.outline == meant.outline


async def test_its_border_is_refined(ask, monkeypatch):
    given = []
    refined = predicting.refined

    def spied(answer, *more):
        given.append(answer.logits > 0)
        return refined(answer, *more)

    monkeypatch.setattr(predicting, "refined", spied)
    how = {"choice": AtDownsample(4), "refinement": Refinement(1.0, 16)}
    await ask(**how)
    fine = await ask(SlidePrompt((click(),), candidate=LARGER), **how)
    own, meant = given
    assert (own & meant).sum() == own.sum() < meant.sum()
    assert len(fine.levels) > 1


async def test_each_mask_is_finished_once(ask, monkeypatch):
    sides = []

    def counted(logits, *more, **how):
        sides.append(logits.shape)
        return finished(logits, *more, **how)

    monkeypatch.setattr(outcome, "finished", counted)
    found = await ask(options=FOUR, choice=AtDownsample(4), refinement=Refinement(1.0, 16))
    assert len(found.levels) > 1
    coarse = [side for side in sides if side == (256, 256)]
    assert (len(coarse), len(sides)) == (4, 5), "the answer, three candidates, and the mosaic of the chosen one"


async def test_every_candidate_is_finished_as_the_outline_is(ask):
    beside = SlidePrompt((click(), click(1028, 800, positive=False)))
    found = (await ask(beside, options=FOUR)).candidates
    assert len(found) > 1
    for one in found:
        assert not one.outline.geometry.contains(shapely.Point(1028, 800))
        assert one.unhonoured == ()


@pytest.mark.parametrize(
    ("prompt", "field"),
    [
        (SlidePrompt((click(),), candidate=4), "prompt.candidate"),
        (SlidePrompt((click(), click(candidate=9))), "prompt.points[1].candidate"),
        (SlidePrompt((click(candidate=1),)), "prompt.points[0].candidate"),
        (SlidePrompt((click(positive=False), click(candidate=1))), "prompt.points[1].candidate"),
    ],
)
async def test_a_candidate_that_no_answer_has_is_refused(ask, engine, prompt, field):
    with pytest.raises(WsiSamServerError) as refused:
        await ask(prompt)
    assert refused.value.reason is Reason.UNKNOWN_CANDIDATE
    assert refused.value.details["field"] == field
    assert engine.asked == []


async def test_a_shape_alone_is_a_prompt_in_a_field_of_its_size(ask, engine):
    outcome = await ask(SHAPE)
    x0, y0, x1, y1 = AREA.bounds
    boxed, shaped = engine.asked
    assert (boxed.prompt, boxed.mask) == (SlidePrompt(box=Box(x0, y0, x1, y1)), None)
    assert shaped.prompt.box == boxed.prompt.box
    (inner,) = shaped.prompt.points
    assert shapely.Point(inner.position.x, inner.position.y).distance(shapely.Point(CELL)) < 1
    model = engine._model
    answered = model.decode(
        engine._kept[shaped.slide_id, outcome.field.high],
        None,
        Prompt(box=boxed.prompt.to_model(outcome.field.high)[2]),
    )
    assert np.array_equal(shaped.mask, shape_mask(AREA, outcome.field.high, answered.logits))
    assert outcome.field == (await ask(boxed.prompt)).field
    assert outcome.prompt == SHAPE


async def test_clicks_correct_what_is_drawn_for_the_shape(ask, engine):
    shaped = await ask(SHAPE)
    more = SlidePrompt((click(1028, 800, positive=False),), shape=AREA)
    in_steps = await ask(more, earlier=shaped, previous_field=shaped.field)
    assert engine.asked[-1].mask is shaped.logits
    whole = await ask(more)
    assert len(engine.asked) == 6
    assert whole.outline == in_steps.outline


async def test_a_shape_that_crosses_itself_is_mended(ask, engine):
    bow = shapely.MultiPolygon([shapely.Polygon([(970, 770), (1030, 830), (1030, 770), (970, 830)])])
    await ask(SlidePrompt(shape=bow))
    assert engine.asked[0].prompt.box == Box(970, 770, 1030, 830)


async def test_a_shape_is_clipped_to_the_slide(ask, engine):
    await ask(SlidePrompt(shape=shapely.MultiPolygon([shapely.box(-50, 100, 80, 200)])))
    assert engine.asked[0].prompt.box == Box(0, 100, 80, 200)


FAN = [(1000 + (i % 2) * 500, 500 + i * 0.25) for i in range(3000)]


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (shapely.box(-50, -50, -10, -10), Reason.PROMPT_OUTSIDE_SLIDE),
        (shapely.Polygon([(10, 10), (20, 20), (30, 30)]), Reason.INVALID_FIELD),
        (shapely.Polygon([*FAN, *((y + 300, x - 300) for x, y in FAN)]), Reason.INVALID_FIELD),
    ],
)
async def test_a_shape_that_is_of_no_use_is_refused(ask, engine, shape, reason):
    with pytest.raises(WsiSamServerError) as refused:
        await ask(SlidePrompt(shape=shapely.MultiPolygon([shape])))
    assert refused.value.reason is reason
    assert engine.asked == []
