"""What an evaluation found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wsisam_server.evaluation.scores import interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_server.evaluation.options import Options
    from wsisam_server.evaluation.survey import Survey
    from wsisam_server.evaluation.variants import Variant


@dataclass(frozen=True, slots=True)
class Result:
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
class Report:
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
        objects_found: objects in all rows, of which `Result.n` were drawn.
    """

    model: str
    weights_hash: str
    options: Options
    variants: tuple[Variant, ...]
    results: tuple[Result, ...]
    differences: tuple[Difference, ...]
    images: int
    images_without_objects: int
    objects_found: int

    def result(self, variant: Variant, prompt: str) -> Result:
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
            "weights_hash": self.weights_hash,
            "seed": self.options.seed,
            "context": self.options.context,
            "feedback": self.options.feedback,
            "images": self.images,
            "images_without_objects": self.images_without_objects,
            "objects_found": self.objects_found,
        }


class Scores:
    """Collects Dice and IoU, one pair for each object, variant and prompt."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[Variant, str], list[tuple[float, float]]] = {}

    def add(self, variant: Variant, prompt: str, dice: float, iou: float) -> None:
        """Notes an object's scores; objects come in the same order for every variant and prompt."""
        self._pairs.setdefault((variant, prompt), []).append((dice, iou))

    def result(self, variant: Variant, prompt: str, seed: int) -> Result:
        """Means and interval over the objects noted."""
        pairs = self._pairs[variant, prompt]
        count, dice = len(pairs), [pair[0] for pair in pairs]
        return Result(
            variant=variant,
            prompt=prompt,
            dice=sum(dice) / count,
            iou=sum(pair[1] for pair in pairs) / count,
            n=count,
            ci=interval(dice, seed),
        )

    def difference(self, variant: Variant, against: Variant, prompt: str, seed: int) -> Difference:
        """Mean and interval of the differences, object by object."""
        pairs = zip(self._pairs[variant, prompt], self._pairs[against, prompt], strict=True)
        gains = [own[0] - other[0] for own, other in pairs]
        return Difference(variant, against, prompt, sum(gains) / len(gains), interval(gains, seed))

    def report(
        self, model: str, weights_hash: str, options: Options, variants: Sequence[Variant], found: Survey, images: int
    ) -> Report:
        """The report of a finished evaluation."""
        seed = options.seed
        return Report(
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
        )
