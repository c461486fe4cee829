"""TIFF files by their own words: which page is the slide, which are its levels, and what its channels mean.

In: a path. Out: a `Layout` for the reader of the pixels, and a source for what OpenSlide cannot
read. It must never guess: what could be read in more than one way is refused, and the error says why.
"""

from wsisam_server.slides.tiff.layout import Layout, is_tiff, read_layout
from wsisam_server.slides.tiff.source import TiffSource, read_whole

__all__ = ["Layout", "TiffSource", "is_tiff", "read_layout", "read_whole"]
