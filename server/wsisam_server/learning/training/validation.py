"""How well a network answers on images that it never trained on: quick, in window pixels, on cached features.

It steers a run (which weights to keep, when to stop). Claims are made by `wsisam evaluate`, in image pixels.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from wsisam_model import Prompt
from wsisam_model.branch import BranchInput
from wsisam_model.prompt_batch import PromptBatch
from wsisam_server.core.geometry import Box, Point, SlideSize, Viewport
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.learning.datasets import first_click, load, next_click, objects
from wsisam_server.learning.evaluation import dice
from wsisam_server.learning.training import sources, windows
from wsisam_server.learning.training.augment import Augmentation
from wsisam_server.learning.training.network import stack
from wsisam_server.learning.training.windows import LABEL_SIDE
from wsisam_server.segmentation.fields import plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from wsisam_model.dual import DualMasks
    from wsisam_model.loading import Modules
    from wsisam_server.core.geometry import FieldPair
    from wsisam_server.learning.datasets import ObjectMask, Row, Sample
    from wsisam_server.learning.training.examples import Example, Examples
    from wsisam_server.learning.training.joint_network import JointNetwork
    from wsisam_server.learning.training.network import Image, Network
    from wsisam_server.learning.training.sources import Source

CONTEXT = 2.0  # the viewport's side in extents of the object
JITTER = 0.1  # how far, in extents, the viewport's middle is off the object's
CLICKS = (1, 3, 5)
CHOSEN, BEST = "1, chosen", "1, best"
"""Of a single click's candidates: the one of the highest quality as the model estimates it, and the one nearest to what
is drawn, which a user can choose."""


class AnswerFunction(Protocol):
    """Answers one prompt on one example: float32 [256, 256] logits over its HR view."""

    def __call__(self, example: Example, prompt: Prompt, /) -> NDArray[np.float32]:
        """See the class."""
        ...


class CandidatesFunction(Protocol):
    """Answers one click on one example by several masks: float32 [K, 256, 256] logits and [K] qualities.

    The first is the answer that an `AnswerFunction` of the same weights gives.
    """

    def __call__(self, example: Example, prompt: Prompt, /) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See the class."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class ValidationAnswer:
    """One answer.

    Attributes:
        example: what was asked about.
        prompt: "box" or the number of clicks; of a single click's candidates, CHOSEN or BEST.
        clicks: (x, y, positive) in mask pixels, pixel i covering [i, i + 1).
        mask: bool [256, 256], the object.
        drawn: bool [256, 256], the answer.
    """

    example: Example
    prompt: str
    clicks: tuple[tuple[float, float, bool], ...]
    mask: NDArray[np.bool_]
    drawn: NDArray[np.bool_]

    @property
    def dice(self) -> float:
        """Dice coefficient of the two, in mask pixels."""
        return dice(self.drawn, self.mask)


def cases(store: Examples, source: Source, rows: Sequence[Row], count: int, seed: int) -> Iterator[Example]:
    """Draws objects to validate on, one an image at first, in the fields that the server would choose for a click.

    Args:
        store: makes the examples.
        source: the data set.
        rows: its images.
        count: of objects.
        seed: decides them.
    """
    for row, objects_here in sources.allot(count, rows):
        sample = load(row, connected_parts=store.connected_parts)
        items = objects(sample.labels)
        random = windows.generator(seed, "validation", row.image.name)
        for index in random.permutation(len(items))[:objects_here]:
            field = _field(sample, items[int(index)], store.image_size, random)
            window = windows.TrainingWindow(field, items[int(index)].label, Augmentation())
            yield store.make(source.name, row, sample, window)


def answers(
    answer: AnswerFunction,
    example: Example,
    image_size: int,
    *,
    box_only: bool = False,
    feedback: bool = True,
    candidates: CandidatesFunction | None = None,
) -> Iterator[ValidationAnswer]:
    """Asks for the example's object by 1 to 5 clicks, or by a box.

    Args:
        answer: what is judged.
        example: from `cases`.
        image_size: side of the model's input in pixels.
        box_only: ask by a box instead: a file's weights for clicks never see a box alone.
        feedback: later clicks come with the previous answer.
        candidates: asks for the first click's candidates; None for none.
    """
    mask = example.high == example.own
    if not mask.any():
        return
    scale = image_size / LABEL_SIDE
    if box_only:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        corners = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        logits = answer(example, Prompt(box=[value * scale - 0.5 for value in corners]))
        yield ValidationAnswer(example, "box", (), mask, logits > 0)
        return
    given: list[tuple[float, float, bool]] = [(*first_click(mask), True)]
    previous = None
    for count in range(1, max(CLICKS) + 1):
        points = [(x * scale - 0.5, y * scale - 0.5) for x, y, _ in given]
        prompt = Prompt(points=points, labels=[int(on) for *_, on in given], mask=previous if feedback else None)
        if count == 1 and candidates is not None:
            several, qualities = candidates(example, prompt)
            scores = [dice(logits > 0, mask) for logits in several]
            for name, index in ((CHOSEN, int(qualities.argmax())), (BEST, int(np.argmax(scores)))):
                yield ValidationAnswer(example, name, tuple(given), mask, several[index] > 0)
            previous = several[0]
        else:
            previous = answer(example, prompt)
        if count in CLICKS:
            yield ValidationAnswer(example, str(count), tuple(given), mask, previous > 0)
        click = next_click(mask, previous > 0)
        if click is not None:
            given.append(click)


def network_answer(
    network: Network | JointNetwork, store: Examples, *, low: bool, additions: bool = True
) -> AnswerFunction:
    """Answers with a network in training.

    Args:
        network: in the state to be judged.
        store: finds the features.
        low: use the LR image too.
        additions: see `Network.forward`.
    """
    decode = _decoder(network, store, low=low, additions=additions)

    def answer(example: Example, prompt: Prompt, /) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = decode(example, prompt).logits[0].cpu().numpy()
        return logits

    return answer


def network_candidates(
    network: Network | JointNetwork, store: Examples, *, low: bool, additions: bool = True
) -> CandidatesFunction:
    """A network's answer to a click, as `network_answer` gives it, and the masks of SAM's tokens 1 to 3."""
    decode = _decoder(network, store, low=low, additions=additions, want_candidates=True)

    def answer(example: Example, prompt: Prompt, /) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        masks = decode(example, prompt)
        assert masks.candidates is not None
        logits = torch.cat([masks.logits, masks.candidates.logits[0]]).cpu().numpy()
        return logits, torch.cat([masks.iou, masks.candidates.iou[0]]).cpu().numpy()

    return answer


def _decoder(
    network: Network | JointNetwork, store: Examples, *, low: bool, additions: bool, want_candidates: bool = False
) -> Callable[[Example, Prompt], DualMasks]:
    """Decodes one prompt on one example."""
    device = next(network.parameters()).device

    @functools.lru_cache(maxsize=1)  # one object is asked for several times in a row
    def images(example: Example) -> tuple[Image, Image | None]:
        high = network.images([store.features(example, "high")], device)
        return high, network.images([store.features(example, "low")], device) if low else None

    @torch.no_grad()
    def decode(example: Example, prompt: Prompt) -> DualMasks:
        high, other = images(example)
        masks: DualMasks = network.route(prompt)(
            high, other, [prompt], additions=additions, want_candidates=want_candidates
        )
        return masks

    return decode


def base_answer(base: Modules, store: Examples) -> AnswerFunction:
    """Answers with the frozen base alone."""
    image_pe = base.prompt_encoder.get_dense_pe().flatten(2).transpose(1, 2)

    @torch.no_grad()
    def answer(example: Example, prompt: Prompt, /) -> NDArray[np.float32]:
        batch = PromptBatch.of([prompt], image_pe.device)
        image = stack([store.features(example, "high")], image_pe.device)
        given = BranchInput(image.embedding, batch.encode(base.prompt_encoder, torch.float32))
        logits: NDArray[np.float32] = base.plain(given, None, image_pe).logits[0].cpu().numpy()
        return logits

    return answer


def _field(sample: Sample, item: ObjectMask, image_size: int, random: np.random.Generator) -> FieldPair:
    """The windows that the server would read for the first click, with a viewport about the object."""
    x0, y0, x1, y1 = item.box
    extent = max(x1 - x0, y1 - y0)
    shift_x, shift_y = random.uniform(-JITTER, JITTER, 2) * extent
    center_x, center_y, half = (x0 + x1) / 2 + shift_x, (y0 + y1) / 2 + shift_y, CONTEXT * extent / 2
    view = Box(center_x - half, center_y - half, center_x + half, center_y + half)
    x, y = first_click(sample.labels[y0:y1, x0:x1] == item.label)
    click = SlidePrompt((PromptPoint(Point(x0 + x, y0 + y), positive=True),))
    height, width = sample.labels.shape
    return plan(click, SlideSize(width, height), image_size, viewport=Viewport(view, 1.0))
