"""Outlines: a matrix of logits, the window it covers and the slide's size in; an `Outline` out.

Its geometry is valid and inside the slide. Pure: it must never know what a model, a message or a slide file is.
"""

from wsisam_server.segmentation.outlines.outline import outline, reaches_edge

__all__ = ["outline", "reaches_edge"]
