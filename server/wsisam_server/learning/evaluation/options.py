"""What is measured, and under which conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wsisam_server.core.settings import Limits

BOX: Final = "box"
"""The prompt that is a box. A prompt without a name is a number of clicks."""

BOX_AND_CLICK: Final = "box+1"
"""A box and one click that corrects its answer."""

SHAPE: Final = "shape"
"""The prompt that is a crude outline, see `datasets.crude_outline`."""

SHAPE_AND_CLICK: Final = "shape+1"
"""The same and one click that corrects its answer."""

CHOSEN: Final = "chosen"
"""A first click, answered by the candidate that the server chooses."""

BEST: Final = "best"
"""A first click, answered by the candidate nearest to the object: what a user reaches who steps through them."""

_NAMED: Final = (BOX, BOX_AND_CLICK, SHAPE, SHAPE_AND_CLICK, CHOSEN, BEST)

CORRECTED: Final = {BOX_AND_CLICK: BOX, SHAPE_AND_CLICK: SHAPE}
"""Prompts with a click that corrects the answer to another prompt."""

MAX_CLICKS: Final = Limits().points_per_prompt
"""The most clicks of one prompt: what the server takes."""

MAX_JITTER: Final = 20
"""The most repetitions of a prompt by other hands."""


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """Conditions of an evaluation.

    Attributes:
        prompts: "box", "box+1", "shape", "shape+1", "chosen", "best" or a number of clicks, "1" to str(MAX_CLICKS);
            each is reported.
        max_objects: draw at most this many objects from all rows together; None for all.
        seed: of the draw, the viewports' jitter and the bootstrap.
        context: side of the viewport, in lengths of the object's longer side.
        feedback: give the logits of the answer before to the next click in the same field.
        connected_parts: the masks are binary; see `datasets.load`.
        against_sam: report the frozen SAM too, beside a model that has something to add to it.
        noc: measure the number of clicks too, see `interaction`; needs a prompt that is a number of clicks.
        finish: finish each mask as the server does, see `outlines.finishing`; without, the model alone is measured.
        jitter: how often each box and each first click is asked again as another hand would set it, see `jitter`.

    Raises:
        ValueError: an attribute is out of its range.
    """

    prompts: tuple[str, ...] = (BOX, "1", "3", "5", "10")
    max_objects: int | None = None
    seed: int = 0
    context: float = 2.0
    feedback: bool = True
    connected_parts: bool = False
    against_sam: bool = False
    noc: bool = False
    finish: bool = False
    jitter: int = 0

    def __post_init__(self) -> None:
        if not self.prompts or len(set(self.prompts)) != len(self.prompts):
            raise ValueError(f"prompts must be different ones, at least one, not {self.prompts}")
        for prompt in self.prompts:
            if prompt not in _NAMED and not (
                prompt.isdecimal() and str(int(prompt)) == prompt and 1 <= int(prompt) <= MAX_CLICKS
            ):
                names = ", ".join(map(repr, _NAMED))
                raise ValueError(f"a prompt is {names} or a number of clicks from 1 to {MAX_CLICKS}, not {prompt!r}")
        if not 0 <= self.jitter <= MAX_JITTER:
            raise ValueError(f"jitter must lie between 0 and {MAX_JITTER}, not {self.jitter}")
        if self.noc and not self.clicks:
            raise ValueError("the number of clicks needs a prompt that is a number of clicks, such as 1")
        if self.max_objects is not None and self.max_objects < 1:
            raise ValueError(f"max_objects must be at least 1, not {self.max_objects}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, not {self.seed}")
        if not 1 <= self.context <= 16:  # noqa: PLR2004 - below 1 the object is cut, far above it is a few pixels
            raise ValueError(f"context must lie between 1 and 16, not {self.context}")

    @property
    def clicks(self) -> frozenset[int]:
        """The numbers of clicks that are reported."""
        return frozenset(int(prompt) for prompt in self.prompts if prompt.isdecimal())
