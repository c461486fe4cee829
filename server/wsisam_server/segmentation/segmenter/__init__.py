"""Segmenter room: one prompt on one slide, all the way to an outline.

What flows in: a slide id, a prompt in slide coordinates, how the outline is wanted. What flows out: the outline with
the field and the model that made it. It joins the rooms below (fields, slides, scheduler, polygons) and must
never know of messages, streams or users.
"""

from wsisam_server.segmentation.segmenter.batch import by_field
from wsisam_server.segmentation.segmenter.observer import Observer, Observers, why_failed
from wsisam_server.segmentation.segmenter.prefetch import Prefetching
from wsisam_server.segmentation.segmenter.refining import Level
from wsisam_server.segmentation.segmenter.request import Outcome, OutlineOptions, Request
from wsisam_server.segmentation.segmenter.segmenter import Segmenter
from wsisam_server.segmentation.segmenter.survey import Proposal, Step, Survey, SurveyRequest
from wsisam_server.segmentation.segmenter.watcher import NoPixels, PixelsNeededError, Watcher

__all__ = [
    "Level",
    "NoPixels",
    "Observer",
    "Observers",
    "Outcome",
    "OutlineOptions",
    "PixelsNeededError",
    "Prefetching",
    "Proposal",
    "Request",
    "Segmenter",
    "Step",
    "Survey",
    "SurveyRequest",
    "Watcher",
    "by_field",
    "why_failed",
]
