"""How one object is prompted: the paper's protocol (arXiv 2403.09257), in the fields that the server would choose.

A box is the object's own. The first click is the point of the object farthest from its edge, each next one the same
inside the largest error, negative where that is a false positive. As in a session, the field of the first click is kept
while the later ones stay clear of its edges, and planned again otherwise; the logits of the answer before are fed back
in the same field only, since in another one they would lie elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import shapely

from wsisam_model import Prompt
from wsisam_model.calibration import stability
from wsisam_server.core.geometry import Box, FieldPair, Point, Viewport
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.learning.datasets import crop, first_click, next_click
from wsisam_server.learning.evaluation.interaction import CAP, TARGETS
from wsisam_server.learning.evaluation.jitter import OtherHands
from wsisam_server.learning.evaluation.masks import PixelRegion, predicted
from wsisam_server.learning.evaluation.options import (
    BEST,
    BOX,
    BOX_AND_CLICK,
    CHOSEN,
    SHAPE,
    SHAPE_AND_CLICK,
)
from wsisam_server.learning.evaluation.scores import dice, iou
from wsisam_server.learning.evaluation.variants import answer, candidates
from wsisam_server.segmentation.fields import keeps, plan
from wsisam_server.segmentation.outlines import after_box, best, clicks_in, corrected, finished, kept_share

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from wsisam_model import Embedding, Prediction, SamPrediction, WsiSam
    from wsisam_server.learning.datasets import ObjectMask, Sample
    from wsisam_server.learning.evaluation.options import EvaluationOptions
    from wsisam_server.learning.evaluation.patches import Patches
    from wsisam_server.learning.evaluation.variants import Variant

_NONE: Final = shapely.MultiPolygon()
_NOBODY: Final = OtherHands()

VIEW_SHIFT: Final = 0.1
"""The viewport's centre is off the object's by up to this share of the viewport's side, along each axis."""

VIEW_OCTAVES: Final = 0.25
"""The viewport's side is off by a factor of up to 2 to this power, either way."""

SCREEN_PX: Final = 1000
"""Side of the annotator's view on the screen."""


@dataclass(frozen=True, eq=False, slots=True)
class Case:
    """One answer to one prompt on one object.

    Attributes:
        variant: how the model was used.
        name: the kind of prompt, as in `EvaluationOptions.prompts`.
        prompt: in image pixels.
        field: the windows that were read.
        logits: float32 [256, 256] over the HR window, finished if that was wanted.
        region: what the masks cover: the object and the HR window, on the image.
        truth: bool [region's height, width], the object.
        answer: bool, of the same shape.
        dice: of the two, over the whole image.
        iou: of the two, over the whole image.
        score: the IoU that the model takes its answer to have.
        estimate: the same as its decoder estimates it.
        stability: of the model's own mask, see `wsisam_model.calibration`.
        agreement: mean IoU with the answers to other hands' prompts; None where none were asked for.
        further: the candidates beside the model's own answer, as the model draws them, where a trial asks for them.
    """

    variant: Variant
    name: str
    prompt: SlidePrompt
    field: FieldPair
    logits: NDArray[np.float32]
    region: PixelRegion
    truth: NDArray[np.bool_]
    answer: NDArray[np.bool_]
    dice: float
    iou: float
    score: float
    estimate: float
    stability: float
    agreement: float | None = None
    further: tuple[Prediction | SamPrediction, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Trial:
    """One object that is put to a model.

    Attributes:
        model: the model.
        patches: encoded windows of the object's image.
        sample: the image.
        item: the object.
        viewport: what the annotator sees while clicking.
        feedback: see `EvaluationOptions`.
        finish: see `EvaluationOptions`.
        crude: a crude outline of the object.
        others: prompts of other hands.
        further: ask for the candidates of a first click too, out of the same decode.
    """

    model: WsiSam
    patches: Patches
    sample: Sample
    item: ObjectMask
    viewport: Viewport
    feedback: bool
    finish: bool = False
    crude: shapely.MultiPolygon = _NONE
    others: OtherHands = _NOBODY
    further: bool = False


def view(item: ObjectMask, context: float, random: np.random.Generator) -> Viewport:
    """The square viewport of an annotator about to click on an object.

    Args:
        item: the object.
        context: mean side, in lengths of the object's longer side.
        random: of the jitter by `VIEW_SHIFT` and `VIEW_OCTAVES`.
    """
    x0, y0, x1, y1 = item.box
    octaves, dx, dy = random.uniform(-1, 1, 3) * (VIEW_OCTAVES, VIEW_SHIFT, VIEW_SHIFT)
    side = context * max(x1 - x0, y1 - y0) * 2.0 ** float(octaves)
    left, top = (x0 + x1 - side) / 2 + float(dx) * side, (y0 + y1 - side) / 2 + float(dy) * side
    return Viewport(Box(left, top, left + side, top + side), side / SCREEN_PX)


def cases(trial: Trial, variant: Variant, options: EvaluationOptions) -> Iterator[Case]:
    """Prompts for the object in every way that the options ask for, and yields the answers.

    All numbers of clicks up to the last are among them, also those that are not reported. For the number of clicks they
    go on until both of its targets are reached.
    """
    if {BOX, BOX_AND_CLICK} & set(options.prompts):
        x0, y0, x1, y1 = trial.item.box
        prompt = SlidePrompt(box=Box(x0, y0, x1, y1))
        case = _among_others(trial, _case(trial, variant, BOX, prompt, _plan(trial, prompt)), trial.others.boxes)
        yield case
        if BOX_AND_CLICK in options.prompts:
            yield _corrected(trial, variant, BOX_AND_CLICK, case)
    if {SHAPE, SHAPE_AND_CLICK} & set(options.prompts):
        yield from _shape(trial, variant, corrected=SHAPE_AND_CLICK in options.prompts)
    several = bool({CHOSEN, BEST} & set(options.prompts))
    if not several and not options.clicks:
        return
    first = _FirstClick.of(trial, variant, further=several or trial.further)
    yield from _candidates(trial, first, options.prompts)
    if options.clicks:
        last = max(options.clicks)
        for case in _clicks(trial, first, max(last, CAP) if options.noc else last):
            yield case
            if int(case.name) >= last and case.iou >= max(TARGETS):
                return


@dataclass(frozen=True, eq=False, slots=True)
class _FirstClick:
    """A first click, decoded once for all that is asked of it.

    Attributes:
        variant: how the model was used.
        prompt: in image pixels.
        field: the windows that were read.
        found: the model's own answer, then the other candidates, where they are wanted.
    """

    variant: Variant
    prompt: SlidePrompt
    field: FieldPair
    found: list[Prediction | SamPrediction]

    @classmethod
    def of(cls, trial: Trial, variant: Variant, *, further: bool) -> _FirstClick:
        prompt = _first(trial)
        field = _plan(trial, prompt)
        images, asked = _images(trial, variant, field), _to_model(prompt, field)
        if further:
            return cls(variant, prompt, field, candidates(trial.model, variant, *images, asked))
        return cls(variant, prompt, field, [answer(trial.model, variant, *images, asked)])

    def judged(self, trial: Trial, name: str, one: Prediction | SamPrediction) -> Case:
        return _judged(trial, self.variant, name, self.prompt, self.field, one)


def _clicks(trial: Trial, first: _FirstClick, last: int) -> Iterator[Case]:
    """One click after the other. An answer without an error needs no further click and stands for the rest."""
    own, *others = first.found
    variant, case = first.variant, _among_others(trial, first.judged(trial, "1", own), trial.others.clicks)
    yield replace(case, further=tuple(others)) if trial.further else case
    for count in range(2, last + 1):
        case = _corrected(trial, variant, str(count), case)
        yield case


def _corrected(trial: Trial, variant: Variant, name: str, case: Case) -> Case:
    """The answer after one more click; the same where nothing is wrong."""
    click = next_click(case.truth, case.answer)
    if click is None:
        return replace(case, name=name, agreement=None)
    point = PromptPoint(Point(case.region.x0 + click.x, case.region.y0 + click.y), click.positive)
    prompt = replace(case.prompt, points=(*case.prompt.points, point))
    field = case.field if keeps(case.field, prompt, trial.patches.size) else _plan(trial, prompt)
    feed = trial.feedback and field == case.field
    return _case(trial, variant, name, prompt, field, case.logits if feed else None, corrects=case if feed else None)


def _among_others(trial: Trial, case: Case, others: tuple[SlidePrompt, ...]) -> Case:
    """The case with its agreement with other hands, whose fields are planned as theirs."""
    if not others:
        return case
    answers = [_case(trial, case.variant, case.name, prompt, _plan(trial, prompt)) for prompt in others]
    return replace(case, agreement=sum(overlap(case, answer) for answer in answers) / len(answers))


def overlap(one: Case, other: Case) -> float:
    """IoU of two answers about one object, in whichever fields they were given."""
    region = one.region.union(other.region)
    drawn = [predicted(case.logits, case.field.high, region) for case in (one, other)]
    return iou(*drawn)


def _shape(trial: Trial, variant: Variant, *, corrected: bool) -> Iterator[Case]:
    """The crude outline, then one click on what is wrong with its answer."""
    prompt = SlidePrompt(shape=trial.crude)
    field = _plan(trial, prompt)
    # As the server does, see `Predictor`: the box about it first.
    asked, mask = SlidePrompt(box=prompt.frame), None
    if trial.feedback:
        asked, mask = after_box(prompt, field.high, _case(trial, variant, SHAPE, asked, field, finish=False).logits)
    case = replace(_case(trial, variant, SHAPE, asked, field, mask), prompt=prompt)
    yield case
    if corrected:
        yield _corrected(trial, variant, SHAPE_AND_CLICK, case)


def _plan(trial: Trial, prompt: SlidePrompt) -> FieldPair:
    return plan(prompt, trial.patches.size, trial.model.image_size, mpp=trial.sample.mpp, viewport=trial.viewport)


def _case(
    trial: Trial,
    variant: Variant,
    name: str,
    prompt: SlidePrompt,
    field: FieldPair,
    mask: NDArray[np.float32] | None = None,
    *,
    corrects: Case | None = None,
    finish: bool = True,
) -> Case:
    """The answer to a prompt.

    Args:
        trial: the object.
        variant: how the model is used.
        name: of the case.
        prompt: in image pixels.
        field: the windows that are read.
        mask: the logits that are fed back.
        corrects: the answer in the same field that the last click corrects; where answers are finished, this one is
            held to it, as by the server (see `Predictor`).
        finish: whether it is finished, where the trial is.
    """
    model_prompt = _to_model(prompt, field, mask)
    found = answer(trial.model, variant, *_images(trial, variant, field), model_prompt)
    held = None
    if trial.finish and corrects is not None:
        new = clicks_in(replace(prompt, points=prompt.points[-1:]), field.high, found.logits.shape)
        share = kept_share(corrects.score, has_area=prompt.has_area)
        held = corrected(found.logits, corrects.logits, new, share)
    return _judged(trial, variant, name, prompt, field, found, held=held, finish=finish)


def _candidates(trial: Trial, first: _FirstClick, wanted: Collection[str]) -> Iterator[Case]:
    """Of a first click's candidates the one that the server chooses, and the one nearest to the object."""
    if CHOSEN in wanted:
        scores = {number: one.score for number, one in enumerate(first.found)}
        chosen = first.found[best(scores, ranked=trial.model.ranks_candidates)]
        yield first.judged(trial, CHOSEN, chosen)
    if BEST in wanted:
        yield max((first.judged(trial, BEST, one) for one in first.found), key=lambda case: case.iou)


def _first(trial: Trial) -> SlidePrompt:
    """The first click."""
    x, y = first_click(crop(trial.sample.labels, trial.item))
    return SlidePrompt((PromptPoint(Point(trial.item.box[0] + x, trial.item.box[1] + y), positive=True),))


def _to_model(prompt: SlidePrompt, field: FieldPair, mask: NDArray[np.float32] | None = None) -> Prompt:
    points, labels, box = prompt.to_model(field.high)
    return Prompt(points=points, labels=labels, box=box, mask=mask)


def _images(trial: Trial, variant: Variant, field: FieldPair) -> tuple[Embedding, Embedding | None]:
    return trial.patches.high(field.high), trial.patches.low(field.low) if variant == "hr+lr" else None


def _judged(
    trial: Trial,
    variant: Variant,
    name: str,
    prompt: SlidePrompt,
    field: FieldPair,
    found: Prediction | SamPrediction,
    *,
    held: NDArray[np.float32] | None = None,
    finish: bool = True,
) -> Case:
    logits = found.logits if held is None else held
    if trial.finish and finish:
        logits = finished(logits, clicks_in(prompt, field.high, logits.shape)).logits
    region = PixelRegion.about(trial.item.box, field.high, trial.patches.size)
    truth = trial.sample.labels[region.y0 : region.y1, region.x0 : region.x1] == trial.item.label
    drawn = predicted(logits, field.high, region)
    return Case(
        variant=variant,
        name=name,
        prompt=prompt,
        field=field,
        logits=logits,
        region=region,
        truth=truth,
        answer=drawn,
        dice=dice(truth, drawn),
        iou=iou(truth, drawn),
        score=found.score,
        estimate=found.iou,
        stability=stability(found.logits),
    )
