"""Precompute: which windows have no stored embedding, what that costs, and encoding them."""

from __future__ import annotations

import time
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.inference.scheduler import ModelInfo
from wsisam_server.segmentation.fields import checked
from wsisam_server.segmentation.fields import plan as plan_field
from wsisam_server.slides import DamagedRegionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from wsisam_model import Role, WsiSam
    from wsisam_server.core.geometry import Box, FieldPair, Window
    from wsisam_server.inference.scheduler import StoredFeatures
    from wsisam_server.segmentation.fields import Lattice
    from wsisam_server.slides import Slide, SlideInfo
    from wsisam_server.slides.tissue import Tissue

    _Read = tuple[Window, Role, NDArray[np.uint8] | DamagedRegionError | None]

READERS: Final = 4
"""Threads that read the slide and the store; as many reads run ahead of the model."""

MOST_UNWRITTEN: Final = 4
"""Windows that were encoded and wait to be written, before the model waits for the disk."""

TRIAL_SECONDS: Final = 0.5
MOST_TRIALS: Final = 3


@dataclass(frozen=True, slots=True)
class PrecomputePlan:
    """The windows of a precompute run.

    Attributes:
        windows: all that prompts will need, each once in a role, field by field, the finest first, row by row.
        missing: those that are not in the store.
        nbytes: what all of them take there, at most.
        missing_bytes: what the missing ones take.
    """

    windows: Sequence[tuple[Window, Role]]
    missing: Sequence[tuple[Window, Role]]
    nbytes: int
    missing_bytes: int


@dataclass(frozen=True, slots=True)
class PrecomputeResult:
    """The result of a precompute run.

    Attributes:
        encoded: windows that were encoded: the missing ones, and those that were damaged in the store.
        unreadable: windows that were left out, because the slide is damaged there.
    """

    encoded: int
    unreadable: Sequence[Window]


@dataclass(frozen=True, slots=True)
class Precompute:
    """Encodes windows of one slide into the store.

    Attributes:
        slide: open.
        model: encodes.
        stored: takes what that model makes.
    """

    slide: Slide
    model: WsiSam
    stored: StoredFeatures

    def seconds(self, plan: PrecomputePlan) -> float:
        """About what the missing windows of a plan take; tried with one of each role."""
        counts = Counter(role for _, role in plan.missing)
        return sum(count * self._seconds(role) for role, count in counts.items())

    def _seconds(self, role: Role) -> float:
        blank = np.full((self.model.image_size, self.model.image_size, 3), 255, np.uint8)
        spent: list[float] = []
        # The first time, a GPU does more than later.
        while sum(spent) < TRIAL_SECONDS and len(spent) < MOST_TRIALS:
            started = time.perf_counter()
            # With the bytes: a GPU would not have done its work otherwise.
            self.model.features(blank, middle=self.model.encodes_middle(role)).to_bytes()
            spent.append(time.perf_counter() - started)
        return min(spent)

    def run(self, plan: PrecomputePlan, progress: Callable[[int, int], None]) -> PrecomputeResult:
        """Encodes what is not in the store; what is there is read, proved and counts as used.

        Can be interrupted at any time: what was written is not encoded again. Where the slide is damaged, windows are
        left out.

        Args:
            plan: from `planned`.
            progress: is called with how many of how many windows are done.

        Raises:
            OSError: the store cannot be written.
            WsiSamServerError: of the slide. DamagedRegionError where none of its windows could be read.
        """
        encoded = 0
        unreadable: list[Window] = []
        unwritten: deque[Future[None]] = deque()
        prepare = partial(torch.set_num_threads, 1)
        with ThreadPoolExecutor(1, "wsisam-writer", initializer=prepare) as writer:
            for done, (window, role, pixels) in enumerate(self._read(plan.windows)):
                progress(done, len(plan.windows))
                if pixels is None:
                    continue
                if isinstance(pixels, DamagedRegionError):
                    unreadable.append(window)
                    if len(unreadable) == len(plan.windows):
                        raise pixels
                    continue
                features = self.model.features(pixels, middle=self.model.encodes_middle(role))
                encoded += 1
                save = partial(self.stored.save, self.slide.info.content_key, window, role, features)
                unwritten.append(writer.submit(save))
                if len(unwritten) > MOST_UNWRITTEN:
                    unwritten.popleft().result()
            for write in unwritten:
                write.result()
        progress(len(plan.windows), len(plan.windows))
        return PrecomputeResult(encoded, unreadable)

    def _read(self, windows: Sequence[tuple[Window, Role]]) -> Iterator[_Read]:
        """Windows in their order with their pixels: None for those in the store, the error for damaged ones."""

        def read(window: Window, role: Role) -> _Read:
            if self.stored.load(self.slide.info.content_key, window, role) is not None:
                return window, role, None
            try:
                return window, role, self.slide.read(window)
            except DamagedRegionError as error:
                return window, role, error

        readers = ThreadPoolExecutor(READERS, "wsisam-reader")
        try:
            running: deque[Future[_Read]] = deque()
            for window, role in windows:
                running.append(readers.submit(read, window, role))
                if len(running) > READERS:
                    yield running.popleft().result()
            for future in running:
                yield future.result()
        finally:
            readers.shutdown(wait=True, cancel_futures=True)


def planned(work: Precompute, fields: Iterable[FieldPair], *, most_bytes: int | None = None) -> PrecomputePlan:
    """The windows of these fields, and those that are missing. Reads the disk.

    Args:
        work: whose windows.
        fields: in which prompts will fall.
        most_bytes: leave out, from the end, what would take more; None for all.
    """
    windows: dict[tuple[Window, Role], int] = {}
    nbytes = 0
    for pair in sorted(fields, key=lambda pair: (pair.high.downsample, pair.high.y, pair.high.x)):
        needed: list[tuple[Window, Role]] = [(pair.high, "high")]
        if work.model.wants_low:
            # Of whole images, one entry serves both roles.
            window = ModelInfo.of(work.model).low_window(pair)
            needed.append((window, "low" if work.model.encodes_middle("low") else "high"))
        # A field is of use when all of it is there.
        more = {part: work.stored.nbytes(part[1]) for part in needed if part not in windows}
        nbytes += sum(more.values())
        if most_bytes is not None and nbytes > most_bytes:
            break
        windows |= more
    missing = [part for part in windows if not work.stored.has(work.slide.info.content_key, *part)]
    return PrecomputePlan(list(windows), missing, sum(windows.values()), sum(windows[part] for part in missing))


def fields_of_boxes(boxes: Iterable[Box], info: SlideInfo, image_size: int) -> tuple[list[FieldPair], int]:
    """The fields in which a server answers boxes.

    Returns:
        Each field once, and how many boxes were left out because they lie outside the slide.
    """
    found: dict[FieldPair, None] = {}
    outside = 0
    for box in boxes:
        try:
            prompt = checked(SlidePrompt(box=box), info.size, max_points=0)
        except WsiSamServerError:
            outside += 1
            continue
        found[plan_field(prompt, info.size, image_size, mpp=info.mpp)] = None
    return list(found), outside


def fields_over(lattice: Lattice, tissue: Tissue | None = None) -> list[FieldPair]:
    """The fields that take first clicks on tissue, or anywhere on the slide; each once, row by row."""
    # A place takes the clicks that are nearer to it than to its neighbours.
    columns, rows = (
        (np.arange(count + 1, dtype=np.float64) - 0.5) * lattice.step for count in (lattice.columns, lattice.rows)
    )
    wanted = np.ones((lattice.rows, lattice.columns), bool) if tissue is None else tissue.touches(columns, rows)
    places = ((int(column), int(row)) for row, column in np.argwhere(wanted))
    return list(dict.fromkeys(lattice.field(*place) for place in places))
