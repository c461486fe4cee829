"""One object being asked for, round after round, as an annotator would until satisfied.

The rounds of a session are training steps of their own: the network answers, learns, and is asked again about what it
got wrong. Every forward pass is thereby trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage

from wsisam_model import Prompt
from wsisam_server.learning.datasets import jittered_box, next_click
from wsisam_server.learning.training.windows import LABEL_SIDE, interior_point

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.learning.training.examples import Example
    from wsisam_server.learning.training.options import TrainOptions

ROUNDS = (1, 1, 2, 3, 3, 4, 5, 6, 8)
"""How often an object is asked for, each entry as likely."""

ROUNDS_WITH_CANDIDATES = (1, 1, 1, 1, 1, 2, 2, 3, 4, 5, 6, 8)
"""The same where candidates are trained: only the first click has some."""

_OTHER = 0.4  # share of sessions that ask for an object beside the one that the window was chosen for, if there is one
_EXACT = 0.5  # share of correcting clicks in the very middle of the error; the others anywhere in it
_CONNECTED = np.ones((3, 3), bool)


@dataclass(eq=False, slots=True)
class SimulatedSession:
    """An object and what was said about it so far. Coordinates are pixels of the HR mask, pixel i covering [i, i + 1).

    Attributes:
        example: index of the window.
        label: which object in it.
        rounds: how many rounds are left, this one counted.
        clicks: (x, y, 1 positive or 0 negative) of each click so far.
        box: (x0, y0, x1, y1), if one was drawn.
        logits: float32 [256, 256], the previous answer, if it is fed back this round.
    """

    example: int
    label: int
    rounds: int
    clicks: list[tuple[float, float, int]] = field(default_factory=list)
    box: tuple[float, float, float, float] | None = None
    logits: NDArray[np.float32] | None = None

    @classmethod
    def start(
        cls, index: int, example: Example, options: TrainOptions, random: np.random.Generator
    ) -> SimulatedSession:
        """Chooses an object of a window and how it is first asked for.

        Where clicks are trained, the base answers a box, as it does in use: that round is one more.
        """
        label = example.own
        if example.others and random.random() < _OTHER:
            label = example.others[int(random.integers(len(example.others)))]
        mask = example.high == label
        rounds = ROUNDS_WITH_CANDIDATES if options.candidates_weight > 0 else ROUNDS
        session = cls(index, label, 1 if options.box_only else rounds[int(random.integers(len(rounds)))])
        if options.box_only or random.random() < options.box_share:
            (rows, columns) = ndimage.find_objects(mask.astype(np.int8))[0]
            bounds = (float(columns.start), float(rows.start), float(columns.stop), float(rows.stop))
            session.box = jittered_box(bounds, (LABEL_SIDE, LABEL_SIDE), random)
            session.rounds += not options.box_only
        else:
            session.clicks.append((*interior_point(mask, random), 1))
        return session

    @property
    def is_single_click(self) -> bool:
        """Whether one click is all that was said, which may mean more than one object."""
        return self.box is None and len(self.clicks) == 1

    def prompt(self, image_size: int) -> Prompt:
        """What the annotator says this round.

        Args:
            image_size: side of the model's input, whose pixels a prompt is in; SAM's prompt encoder adds half of one.
        """
        scale = image_size / LABEL_SIDE
        box = None if self.box is None else tuple(value * scale - 0.5 for value in self.box)
        points = [(x * scale - 0.5, y * scale - 0.5) for x, y, _ in self.clicks]
        return Prompt(points=points, labels=[label for *_, label in self.clicks], box=box, mask=self.logits)

    def answered(
        self, mask: NDArray[np.bool_], logits: NDArray[np.float32], options: TrainOptions, random: np.random.Generator
    ) -> bool:
        """Takes an answer and corrects it.

        Args:
            mask: [256, 256], the object.
            logits: [256, 256], the answer.
            options: of the run.
            random: where chance comes from.

        Returns:
            Whether another round follows.
        """
        self.rounds -= 1
        prediction = logits > 0
        click = next_click(mask, prediction) if self.rounds else None
        if click is None:
            return False
        x, y = click.x, click.y
        if random.random() >= _EXACT:
            wrong = (mask & ~prediction) if click.positive else (prediction & ~mask)
            regions, _ = ndimage.label(wrong, structure=_CONNECTED)
            x, y = interior_point(np.asarray(regions == regions[int(y), int(x)]), random)
        self.clicks.append((x, y, int(click.positive)))
        self.logits = logits if random.random() < options.feedback else None
        return True

    def state(self) -> dict[str, Any]:
        """Everything, as tensors and plain values, for a checkpoint."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return values | {"logits": None if self.logits is None else torch.from_numpy(self.logits)}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> SimulatedSession:
        """The session that `state` was taken of."""
        return cls(**state | {"logits": None if state["logits"] is None else state["logits"].numpy()})
