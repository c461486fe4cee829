"""Segmenter room: one prompt on one slide, all the way to an outline.

What flows in: a slide id, a prompt in slide coordinates, how the outline is wanted. What flows out: the outline with
the field and the model that made it. It joins the rooms below (planning, outlines, refinement, proposals), slides and
inference, and must never know of messages, streams or users.
"""

from wsisam_server.segmentation.segmenter.batch import Batch
from wsisam_server.segmentation.segmenter.observer import Observer, Observers, why_failed
from wsisam_server.segmentation.segmenter.prefetch import Prefetched
from wsisam_server.segmentation.segmenter.segmenter import Segmenter
from wsisam_server.segmentation.segmenter.survey import Survey
from wsisam_server.segmentation.segmenter.watcher import NoPixels, Watcher

__all__ = [
    "Batch",
    "NoPixels",
    "Observer",
    "Observers",
    "Prefetched",
    "Segmenter",
    "Survey",
    "Watcher",
    "why_failed",
]
