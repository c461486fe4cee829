"""What an evaluation found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wsisam_server.learning.evaluation.interaction import interaction, shape_and_score, worsened
from wsisam_server.learning.evaluation.options import CORRECTED
from wsisam_server.learning.evaluation.scores import interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wsisam_server.learning.evaluation.measures import Measured
    from wsisam_server.learning.evaluation.object_sample import ObjectSample
    from wsisam_server.learning.evaluation.options import EvaluationOptions
    from wsisam_server.learning.evaluation.variants import Variant


@dataclass(frozen=True, slots=True)
class MeanScores:
    """Means over the objects, for one variant and one kind of prompt.

    Attributes:
        variant: how the model was used.
        prompt: "box" or the number of clicks.
        dice: mean Dice.
        iou: mean IoU.
        n: objects.
        ci: 95 % bootstrap interval of the mean Dice.
    """

    variant: Variant
    prompt: str
    dice: float
    iou: float
    n: int
    ci: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much a variant is better than another on the same objects.

    Attributes:
        variant: the one.
        against: the other.
        prompt: "box" or the number of clicks.
        dice: mean of the objects' differences in Dice; positive where `variant` is better.
        ci: 95 % bootstrap interval of that mean.
    """

    variant: Variant
    against: Variant
    prompt: str
    dice: float
    ci: tuple[float, float]


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """An evaluation's results with what they depend on.

    Attributes:
        model: the model's name.
        weights_hash: identifies its weights.
        options: the conditions.
        variants: what was compared, in the order of the results.
        results: by variant, then by prompt in the order of the options.
        differences: between each variant and those before it.
        images: rows looked through.
        images_without_objects: rows skipped because nothing is drawn on them.
        objects_found: objects in all rows, of which `MeanScores.n` were drawn.
        interaction: of each variant, what `interaction` sums up.
        answers: of each variant and prompt, what `shape_and_score` sums up; of a prompt with a click that corrects
            another's answer also `worse`, see `worsened`.
    """

    model: str
    weights_hash: str
    options: EvaluationOptions
    variants: tuple[Variant, ...]
    results: tuple[MeanScores, ...]
    differences: tuple[Difference, ...]
    images: int
    images_without_objects: int
    objects_found: int
    interaction: tuple[dict[str, Any], ...] = ()
    answers: tuple[dict[str, Any], ...] = ()

    def result(self, variant: Variant, prompt: str) -> MeanScores:
        """The result of a variant and a prompt that were measured."""
        return next(found for found in self.results if (found.variant, found.prompt) == (variant, prompt))

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "model": self.model,
            "results": [
                {
                    "variant": found.variant,
                    "prompt": found.prompt,
                    "dice": found.dice,
                    "iou": found.iou,
                    "n": found.n,
                    "ci": list(found.ci),
                }
                for found in self.results
            ],
            "differences": [
                {
                    "variant": found.variant,
                    "against": found.against,
                    "prompt": found.prompt,
                    "dice": found.dice,
                    "ci": list(found.ci),
                }
                for found in self.differences
            ],
            "interaction": list(self.interaction),
            "answers": list(self.answers),
            "weights_hash": self.weights_hash,
            "seed": self.options.seed,
            "context": self.options.context,
            "feedback": self.options.feedback,
            "finish": self.options.finish,
            "jitter": self.options.jitter,
            "images": self.images,
            "images_without_objects": self.images_without_objects,
            "objects_found": self.objects_found,
        }


class Scores:
    """Collects what was measured, object by object."""

    def __init__(self) -> None:
        self._objects: list[Mapping[Variant, Sequence[Measured]]] = []

    def add(self, answers: Mapping[Variant, Sequence[Measured]]) -> None:
        """Notes an object's answers; of clicks, all from 1 to the last."""
        self._objects.append(answers)

    def _answers(self, variant: Variant, prompt: str) -> list[Measured]:
        return [next(each for each in answers[variant] if each.prompt == prompt) for answers in self._objects]

    def _dice(self, variant: Variant, prompt: str) -> list[float]:
        return [each.dice for each in self._answers(variant, prompt)]

    def _trails(self, variant: Variant) -> list[dict[int, Measured]]:
        return [
            {int(each.prompt): each for each in answers[variant] if each.prompt.isdecimal()}
            for answers in self._objects
        ]

    def result(self, variant: Variant, prompt: str, seed: int) -> MeanScores:
        """Means and interval over the objects noted."""
        answers = self._answers(variant, prompt)
        count, dice = len(answers), [each.dice for each in answers]
        return MeanScores(
            variant=variant,
            prompt=prompt,
            dice=sum(dice) / count,
            iou=sum(each.iou for each in answers) / count,
            n=count,
            ci=interval(dice, seed),
        )

    def difference(self, variant: Variant, against: Variant, prompt: str, seed: int) -> Difference:
        """Mean and interval of the differences, object by object."""
        pairs = zip(self._dice(variant, prompt), self._dice(against, prompt), strict=True)
        gains = [own - other for own, other in pairs]
        return Difference(variant, against, prompt, sum(gains) / len(gains), interval(gains, seed))

    def _answer_sums(self, variant: Variant, prompt: str) -> dict[str, Any]:
        found = shape_and_score(self._answers(variant, prompt))
        if prompt in CORRECTED:
            found["worse"] = worsened(self._answers(variant, CORRECTED[prompt]), self._answers(variant, prompt))
        return found

    def report(
        self,
        model: str,
        weights_hash: str,
        options: EvaluationOptions,
        variants: Sequence[Variant],
        found: ObjectSample,
        images: int,
    ) -> EvaluationReport:
        """The report of a finished evaluation."""
        seed = options.seed
        return EvaluationReport(
            model=model,
            weights_hash=weights_hash,
            options=options,
            variants=tuple(variants),
            results=tuple(self.result(variant, prompt, seed) for variant in variants for prompt in options.prompts),
            differences=tuple(
                self.difference(variant, against, prompt, seed)
                for number, variant in enumerate(variants)
                for against in variants[:number]
                for prompt in options.prompts
            ),
            images=images,
            images_without_objects=found.without_objects,
            objects_found=found.found,
            interaction=tuple(
                {"variant": variant} | interaction(self._trails(variant), sorted(options.clicks), noc=options.noc)
                for variant in variants
                if options.clicks
            ),
            answers=tuple(
                {"variant": variant, "prompt": prompt} | self._answer_sums(variant, prompt)
                for variant in variants
                for prompt in options.prompts
            ),
        )
