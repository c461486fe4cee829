"""A slide of any size that no file has to hold: its pixels are made when they are read."""

import numpy as np

from wsisam_server.core.geometry import Box, SlideSize
from wsisam_server.slides import DamagedRegionError, SlideInfo, registry

GLASS, TISSUE, CELL = (243, 243, 241), (226, 180, 210), (110, 60, 140)


class AnnotatedSlide:
    """Glass with a block of tissue and, far from it, a few purple cells.

    Attributes:
        reads: windows that were read, or were to be.
        damaged: where nothing can be read.
        before: called before each read.
    """

    nbytes = 0

    def __init__(self, size, tissue, cells, *, diameter=60, grey=False):
        self.info = SlideInfo(SlideSize(*size), None, (1.0,), f"drawn {grey}", "plain:drawn")
        self.reads = []
        self.damaged = Box(-9, -9, -8, -8)
        self.before = lambda _: None
        self._tissue, self._cells, self._radius, self._grey = tissue, cells, diameter / 2, grey

    @property
    def stored_pixels(self):
        """How many of level 0 were read."""
        return sum(window.extent**2 for window in self.reads)

    def read(self, window):
        self.reads.append(window)
        self.before(window)
        area, bad = window.region, self.damaged
        if area.x0 < bad.x1 and bad.x0 < area.x1 and area.y0 < bad.y1 and bad.y0 < area.y1:
            raise DamagedRegionError(window)
        places = (np.arange(window.size) + 0.5) * window.downsample
        x, y = (window.x + places)[np.newaxis, :], (window.y + places)[:, np.newaxis]
        pixels = np.empty((window.size, window.size, 3), np.uint8)
        pixels[:] = GLASS
        block = self._tissue
        pixels[(x >= block.x0) & (x < block.x1) & (y >= block.y0) & (y < block.y1)] = TISSUE
        for cx, cy in self._cells:
            if area.x0 - 100 < cx < area.x1 + 100 and area.y0 - 100 < cy < area.y1 + 100:
                pixels[np.hypot(x - cx, y - cy) < self._radius] = CELL
        if self._grey:
            pixels[:] = pixels.mean(axis=2, keepdims=True)
        return pixels

    def close(self):
        pass


def opened(segmenter, slide, path, monkeypatch):
    """Opens it in the place of a file; returns its id."""
    path.write_bytes(b"")
    monkeypatch.setattr(registry, "open_slide", lambda *_: slide)
    return segmenter.open_slide(str(path), None)[0]
