"""The engine's interface: what the rooms above may ask of whatever runs the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from wsisam_server.core.answers import StageTimes
from wsisam_server.core.geometry import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from wsisam_model import ModelSettings, WsiSam
    from wsisam_server.core.geometry import FieldPair
    from wsisam_server.core.prompt import SlidePrompt


class Priority(IntEnum):
    """What is served first when several jobs wait; lower goes first."""

    INTERACTIVE_DECODE = 0
    INTERACTIVE_ENCODE = 1
    PREFETCH = 2
    BATCH = 3

    @property
    def is_background(self) -> bool:
        """Whether it is background work (batches and prefetches), whose embeddings may not be used again."""
        return self in {Priority.PREFETCH, Priority.BATCH}


@dataclass(slots=True)
class Job:
    """One prompt in one field.

    Attributes:
        slide_id: identity of the slide's content; part of the embedding's key.
        read: reads a window of that slide, uint8 [size, size, 3] RGB; called on a worker thread.
        field: the two windows.
        prompt: in slide coordinates.
        mask: logits [256, 256] of an earlier answer in the same field, fed back to the model; or None.
        interactive: whether a person waits for it, or may soon.
        principal: whose share of the queues it uses; principals of equal priority take turns.
        is_lasting: whether the id will always mean this very content, so that what is computed may outlive the
            process; never so of pixels that a client sends.
        on_encode: called (on the event loop) when the job finds that it must wait for an encoder.
        candidates: whether the model's further masks are wanted too, out of the same decode.
    """

    slide_id: str
    read: Callable[[Window], NDArray[np.uint8]]
    field: FieldPair
    prompt: SlidePrompt
    mask: NDArray[np.float32] | None = None
    interactive: bool = True
    principal: str = ""
    is_lasting: bool = False
    on_encode: Callable[[], None] | None = None
    candidates: bool = False


class ScoredMask(NamedTuple):
    """A mask, and what the model takes its IoU for.

    Attributes:
        logits: float32 [256, 256] over the HR window; the mask is where they are positive.
        score: the mask's IoU as the model expects it, calibrated if its weights are.
    """

    logits: NDArray[np.float32]
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says.

    Attributes:
        logits: as in `ScoredMask`.
        score: as in `ScoredMask`.
        candidates: where the job wanted them, the masks of SAM's tokens 1 to 3, in this order.
        ranked: whether the scores of a single click's candidates were measured to tell which is the best.
    """

    logits: NDArray[np.float32]
    score: float
    times: StageTimes = field(default_factory=StageTimes)
    candidates: tuple[ScoredMask, ...] = ()
    ranked: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is kept of a field for the next prompts in it.

    Attributes:
        nbytes: of its embeddings.
        times: of the work that was needed now; no encoder runs if it was there already.
    """

    nbytes: int
    times: StageTimes = field(default_factory=StageTimes)


@dataclass(frozen=True, slots=True)
class Features:
    """What a model's encoder made of a window.

    Attributes:
        values: float16 [64, 64, C], the encoder's stages side by side, the early one first.
        groups: the channels of each stage.
        times: of the work that was needed now; no encoder runs if they were there already.
    """

    values: NDArray[np.float16]
    groups: tuple[int, ...]
    times: StageTimes = field(default_factory=StageTimes)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the rooms above need to know of a model, loaded or not. Equal for the same weights, used in the same way.

    Attributes:
        uses_low: whether it reads the LR window for some prompts.
        settings: how it is used.
    """

    name: str
    description: str
    image_size: int
    weights_hash: str
    uses_low: bool
    settings: ModelSettings

    @classmethod
    def of(cls, model: WsiSam) -> ModelInfo:
        """What a loaded model is."""
        return cls(
            name=model.name,
            description=model.description,
            image_size=model.image_size,
            weights_hash=model.weights_hash,
            uses_low=model.wants_low,
            settings=model.settings,
        )

    def low_window(self, field: FieldPair) -> Window:
        """What it reads of a field's LR patch, for prompts for which it reads any."""
        return Window.about(field.high.center, field.low.downsample, self.settings.low_side(self.image_size))

    def windows(self, field: FieldPair) -> list[Window]:
        """What it may read of a field, whatever the prompt."""
        return [field.high, self.low_window(field)] if self.uses_low else [field.high]

    @property
    def mask_feedback(self) -> bool:
        """Whether it wants its previous logits with the next prompt on the same object."""
        return self.settings.mask_feedback


class Engine(Protocol):
    """Runs one model. Safe to call from many tasks of one event loop.

    `predict` raises WsiSamServerError: whatever `Job.read` raises, OUT_OF_DEVICE_MEMORY, or ENGINE_UNAVAILABLE from an
    engine on other machines. A cancelled call whose computation has not begun never reaches the model.
    """

    @property
    def info(self) -> ModelInfo:
        """The model that it runs."""
        ...

    @property
    def encoder(self) -> str:
        """What runs the image encoder now, and why; for people. Empty where that is not known here."""
        ...

    async def predict(self, job: Job) -> Answer:
        """Answers one prompt."""
        ...

    async def prefetch(self, job: Job, priority: Priority = Priority.PREFETCH) -> Prepared:
        """Computes what `predict` keeps of a job's field, when nothing more urgent than `priority` waits."""
        ...

    async def features(self, job: Job) -> Features:
        """What the encoder makes of a job's HR window, for comparing places; kept for `predict_many`.

        Of the job, the prompt does not matter.
        """
        ...

    async def predict_many(self, job: Job, prompts: Sequence[SlidePrompt]) -> list[Answer]:
        """Answers several prompts in the HR window of a field, from its `features`.

        Nothing is added to the embeddings that are kept for clicks, which are five times as large. The LR window is not
        read.

        Args:
            job: in whose field; of it, the prompt does not matter.
            prompts: all of one kind, in slide coordinates.
        """
        ...

    def missing_windows(self, job: Job) -> list[Window]:
        """The windows whose pixels `predict` would read now: not cached and not being computed."""
        ...

    async def to_encode(self, job: Job) -> list[Window]:
        """The windows that `predict` would have to encode now: those that it lacks, less those on the disk."""
        ...

    async def warm_up(self) -> None:
        """Runs the model once, so that the first prompt does not pay for it."""
        ...
