"""Outlines: logits over a window in, a valid outline in level-0 pixels out. Pure."""

from wsisam_server.segmentation.outlines.outline import Outline, outline, reaches_edge

__all__ = ["Outline", "outline", "reaches_edge"]
