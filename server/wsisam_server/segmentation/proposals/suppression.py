"""Of several outlines of one object the best one, as soon as no window is left that could hold a better one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import shapely

from wsisam_server.segmentation.proposals.finding import Candidate, overlap
from wsisam_server.segmentation.proposals.tiling import boxes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsisam_server.segmentation.proposals.tiling import Tile

About = TypeVar("About")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[About]):
    """A candidate that is not decided yet.

    Attributes:
        number: of the window that it was found in.
        windows: numbers of the windows, not done, that could still hold an overlapping one.
        better: overlapping ones of higher rank that are not decided.
        worse: overlapping ones of lower rank.
    """

    number: int
    candidate: Candidate
    about: About
    windows: set[int]
    better: set[_Waiting[About]] = field(default_factory=set)
    worse: set[_Waiting[About]] = field(default_factory=set)

    @property
    def order(self) -> tuple[float, ...]:
        """Of two, the greater one wins; by place where they are equally good, so that chance decides nothing."""
        return self.candidate.rank, *self.candidate.whole.bounds


class NonMaximumSuppression(Generic[About]):
    """Decides between overlapping candidates: the best of all is kept, what overlaps it goes, and so on with the rest.

    The result is the same in whatever order windows are done; a candidate is decided when those that could change its
    fate are. It holds only what is not decided.

    Args:
        tiles: all windows.
        max_overlap: see `ProposalFilter`.

    Attributes:
        repeated: candidates that went because of a better one.
    """

    def __init__(self, tiles: tuple[Tile, ...], max_overlap: float) -> None:
        self._boxes = shapely.STRtree(list(boxes(tiles)))
        self._done = np.zeros(len(tiles), bool)
        self._max_overlap = max_overlap
        self._waiting: list[_Waiting[About]] = []
        self.repeated = 0

    def add(self, number: int, candidates: Iterable[tuple[Candidate, About]]) -> list[tuple[Candidate, About]]:
        """Takes what was found in a window, each once; returns what is final now.

        Args:
            number: of the window.
            candidates: each with whatever belongs to it.
        """
        self._done[number] = True
        for one in self._waiting:
            one.windows.discard(number)
        fresh = [_Waiting(number, candidate, about, self._open(candidate)) for candidate, about in candidates]
        self._compare(fresh)
        return self._settle()

    @property
    def undecided(self) -> list[tuple[int, About]]:
        """Candidates that wait, each with the number of its window."""
        return [(one.number, one.about) for one in self._waiting]

    def restore(self, done: int, undecided: Iterable[tuple[int, Candidate, About]]) -> None:
        """Goes on where another one stopped, of which everything else was decided. Before the first `add`.

        What was decided does not matter any more: no window is left that meets what was kept, and what overlapped it
        went with it.

        Args:
            done: so many windows were, from the first.
            undecided: the other's, found again.
        """
        self._done[:done] = True
        self._compare([_Waiting(number, one, about, self._open(one)) for number, one, about in undecided])

    def _open(self, candidate: Candidate) -> set[int]:
        near = self._boxes.query(candidate.whole, predicate="intersects")
        return set(near[~self._done[near]].tolist())

    def _compare(self, fresh: list[_Waiting[About]]) -> None:
        """Notes which of the new ones and those that wait overlap."""
        everyone = self._waiting + fresh
        shapes = np.array([one.candidate.whole for one in everyone], dtype=object)
        tree = shapely.STRtree(shapes)
        for position, one in enumerate(fresh, start=len(self._waiting)):
            near = tree.query(shapes[position], predicate="intersects")
            near = near[near < position]
            for other in near[overlap(shapes[position], shapes[near]) > self._max_overlap].tolist():
                better, worse = sorted((one, everyone[other]), key=lambda each: each.order, reverse=True)
                better.worse.add(worse)
                worse.better.add(better)
        self._waiting = everyone

    def _settle(self) -> list[tuple[Candidate, About]]:
        final: list[tuple[Candidate, About]] = []
        gone: set[_Waiting[About]] = set()
        # From the best down: who is decided frees those below at once.
        for one in sorted(self._waiting, key=lambda each: each.order, reverse=True):
            if one in gone or one.windows or one.better:
                continue
            final.append((one.candidate, one.about))
            gone.add(one)
            for beaten in tuple(one.worse):
                gone.add(beaten)
                self.repeated += 1
                for other in beaten.better:
                    other.worse.discard(beaten)
                for other in beaten.worse:
                    other.better.discard(beaten)
        self._waiting = [each for each in self._waiting if each not in gone]
        return final
