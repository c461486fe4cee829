"""Outlines: a matrix of logits, the window it covers, clicks and the slide's size in; an `Outline` out.

Its geometry is valid and inside the slide. Pure: it must never know what a model, a message or a slide file is.
"""

from wsisam_server.segmentation.outlines.finishing import Finished, clicks_in, finished
from wsisam_server.segmentation.outlines.outline import outline, reaches_edge

__all__ = ["Finished", "clicks_in", "finished", "outline", "reaches_edge"]
