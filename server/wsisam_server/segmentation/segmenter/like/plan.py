"""What follows from exemplars and a region before any pixel is read: sizes, scale and windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Point
from wsisam_server.core.requests import ProposalFilter
from wsisam_server.core.shapes import GeometryRepairer
from wsisam_server.segmentation.exemplars import checked_exemplars, lattice, scales, usual_size, window_over
from wsisam_server.segmentation.proposals import Tile, Tiling, comparable, repaired_region, size_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wsisam_server.core.geometry import Window
    from wsisam_server.core.pixel_size import PixelSize
    from wsisam_server.core.requests import LikeRequest
    from wsisam_server.inference.scheduler import ModelInfo
    from wsisam_server.segmentation.exemplars import ShownObject
    from wsisam_server.segmentation.segmenter.segmenter import Segmenter
    from wsisam_server.slides import SlideInfo

GRID: Final = 16
"""Positions along a window's side at which it is asked whether there is tissue."""

SIZE_RANGE: Final = 2.0
"""How far objects may be smaller than the smallest exemplar, or larger than the largest."""

MARGIN: Final = 1.5
"""An exemplar times this must fit into a window."""

POSITIONS: Final = 64
"""Along a window's side in an encoder's features."""


@dataclass(frozen=True, slots=True)
class LikePlan:
    """Where a search looks, and for what.

    Attributes:
        request: what was asked.
        region: valid, on the slide.
        shown: the exemplars that can be used.
        info: of the slide that is searched.
        model: that is asked.
        pixel_size: of that slide.
        microns: microns per pixel of each slide, or 1 for all of them where one is not known.
        classes: names of the positive exemplars' classes, sorted.
        sizes: the usual size of each class, level-0 pixels.
        proposal_filter: sizes in level-0 pixels.
        tiling: windows over the region.
        exemplar_windows: for each exemplar the window of its own slide in which it is looked at, at the same scale.
    """

    request: LikeRequest
    region: shapely.MultiPolygon
    shown: Sequence[ShownObject]
    info: SlideInfo
    model: ModelInfo
    pixel_size: PixelSize
    microns: Mapping[str, float]
    classes: Sequence[str]
    sizes: Sequence[float]
    proposal_filter: ProposalFilter
    tiling: Tiling
    exemplar_windows: Sequence[Window]

    @classmethod
    def made(cls, segmenter: Segmenter, request: LikeRequest, max_windows: int) -> LikePlan:
        """Blocks; reads no pixels.

        Raises:
            WsiSamServerError: see `LikeSurvey.planned`.
        """
        slides = {
            one.slide_id: _readable(segmenter, request, number).size for number, one in enumerate(request.exemplars)
        }
        info, microns = segmenter.slide_info(request.slide_id), _microns(segmenter, request)
        region = repaired_region(request.region, info.size, GeometryRepairer())
        shown = checked_exemplars(request.exemplars, slides, microns)
        here, model = microns[request.slide_id], segmenter.model(request.model)
        positive = [one for one in shown if one.positive]
        classes = sorted({one.path_class for one in positive})
        sizes = [usual_size([one for one in positive if one.path_class == name], microns, here) for name in classes]
        windows = _windows(segmenter, request.slide_id, region, float(np.median(sizes)), model, max_windows)
        pixel_size = info.pixel_size(request.mpp)
        return cls(
            request=request,
            region=region,
            shown=shown,
            info=info,
            model=model,
            pixel_size=pixel_size,
            microns=microns,
            classes=classes,
            sizes=sizes,
            proposal_filter=_proposal_filter(request, positive, microns, pixel_size),
            tiling=_tiling(windows),
            exemplar_windows=[
                _window_of(
                    one,
                    segmenter.slide_info(one.slide_id),
                    windows[0].downsample * here / microns[one.slide_id],
                    model.image_size,
                )
                for one in shown
            ],
        )

    @property
    def here(self) -> float:
        """Microns per pixel of the slide that is searched, or 1."""
        return self.microns[self.request.slide_id]

    @property
    def shown_here(self) -> list[tuple[ShownObject, Window]]:
        """Exemplars on the slide that is searched, with their windows."""
        both = zip(self.shown, self.exemplar_windows, strict=True)
        return [(one, window) for one, window in both if one.slide_id == self.request.slide_id]

    def cells(self, window: Window, slide_id: str) -> float:
        """The smallest usual size in positions of the features of a slide's window."""
        size = min(self.sizes) * self.here / self.microns[slide_id]
        return size / (window.extent / POSITIONS)

    def existing(self) -> shapely.STRtree:
        """What is not to be proposed: existing objects, and what was accepted and rejected on this slide."""
        shown = [one.shape for one, _ in self.shown_here]
        return shapely.STRtree([*comparable(self.request.existing, self.proposal_filter, GeometryRepairer()), *shown])


def tile_of(window: Window) -> Tile:
    """A window with the positions at which it is asked whether there is tissue."""
    offsets = ((np.arange(GRID) + 0.5) * window.extent / GRID).tolist()
    return Tile(window, tuple(Point(window.x + x, window.y + y) for y in offsets for x in offsets))


def _readable(segmenter: Segmenter, request: LikeRequest, number: int) -> SlideInfo:
    """The slide of an exemplar, if its pixels can be had."""
    slide_id = request.exemplars[number].slide_id
    info = segmenter.slide_info(slide_id)
    if info.is_pushed and slide_id != request.slide_id:
        problem = (
            "its slide is in pixel mode; of other slides than the one that is searched, the server reads the files"
        )
        raise WsiSamServerError(Reason.INVALID_FIELD, field=f"exemplars[{number}]", problem=problem)
    return info


def _windows(
    segmenter: Segmenter,
    slide_id: str,
    region: shapely.MultiPolygon,
    size: float,
    model: ModelInfo,
    max_windows: int,
) -> list[Window]:
    """The windows, at the best scale; or at one about as good whose windows were looked at before."""
    slide = segmenter.slide_info(slide_id).size
    best: list[Window] = []
    for downsample in scales(size, slide, model.image_size):
        try:
            windows = lattice(region, slide, downsample, model.image_size, max_windows=max_windows)
        except WsiSamServerError:
            if not best:
                raise
            continue
        best = best or windows
        kept = sum(segmenter.is_kept(slide_id, model, one) for one in windows)
        if 2 * kept > len(windows):
            return windows
    if not best:
        raise WsiSamServerError(Reason.INVALID_FIELD, field="exemplars", problem="no model can show their size")
    return best


def _tiling(windows: Sequence[Window]) -> Tiling:
    return Tiling(tuple(map(tile_of, windows)), windows[0].downsample, windows[0].extent / GRID)


def _window_of(one: ShownObject, info: SlideInfo, downsample: float, image_size: int) -> Window:
    if one.positive and one.size * MARGIN > downsample * image_size:
        problem = "it is larger than a window at this scale; search for such objects on a slide that shows more"
        raise WsiSamServerError(Reason.INVALID_FIELD, field=f"exemplars[{one.number}]", problem=problem)
    return window_over(one.center, info.size, downsample, image_size)


def _proposal_filter(
    request: LikeRequest, positive: Sequence[ShownObject], microns: Mapping[str, float], pixel_size: PixelSize
) -> ProposalFilter:
    """Sizes in level-0 pixels, as diameters of circles of the objects' area."""
    if request.sizes is None:
        here = microns[request.slide_id]
        diameters = [size_of(one.shape.area) * microns[one.slide_id] / here for one in positive]
        low, high = min(diameters) / SIZE_RANGE, max(diameters) * SIZE_RANGE
    else:
        unit = pixel_size.mpp or 1.0
        low, high = request.sizes[0] / unit, request.sizes[1] / unit
    return ProposalFilter(low, high, 0.0, request.min_stability, request.min_agreement, request.max_overlap)


def _microns(segmenter: Segmenter, request: LikeRequest) -> dict[str, float]:
    """Microns per pixel of each slide; 1 for all where one of them is not known."""
    ids = {request.slide_id, *(one.slide_id for one in request.exemplars)}
    sizes = {one: segmenter.slide_info(one).pixel_size(request.mpp).mpp for one in ids}
    return {one: mpp or 1.0 for one, mpp in sizes.items()} if all(sizes.values()) else dict.fromkeys(ids, 1.0)
