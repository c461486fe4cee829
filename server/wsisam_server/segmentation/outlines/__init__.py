"""Outlines: a matrix of logits, the window it covers, clicks and the slide's size in; an `Outline` out.

Its geometry is valid and inside the slide. Pure: it must never know what a model, a message or a slide file is.
"""

from wsisam_server.segmentation.outlines.candidates import OWN, best, selected
from wsisam_server.segmentation.outlines.correcting import corrected, kept_share
from wsisam_server.segmentation.outlines.finishing import Finished, clicks_in, finished
from wsisam_server.segmentation.outlines.outline import outline, reaches_edge
from wsisam_server.segmentation.outlines.shape_mask import after_box, inner_point, shape_mask

__all__ = [
    "OWN",
    "Finished",
    "after_box",
    "best",
    "clicks_in",
    "corrected",
    "finished",
    "inner_point",
    "kept_share",
    "outline",
    "reaches_edge",
    "selected",
    "shape_mask",
]
