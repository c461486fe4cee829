"""Segmenter room: one prompt on one slide, all the way to an outline.

In: a slide id, a prompt in slide coordinates, how the outline is wanted. Out: the outline with
the field and the model that made it. It joins the rooms below (planning, outlines, refinement, proposals), slides and
inference, and must never know of messages, streams or users.
"""

from wsisam_server.segmentation.segmenter.batch import Batch
from wsisam_server.segmentation.segmenter.like import LikeSurvey
from wsisam_server.segmentation.segmenter.listeners import (
    ProgressListener,
    PromptListener,
    PromptListeners,
    SilentListener,
    failure_reason,
)
from wsisam_server.segmentation.segmenter.prefetching import PrefetchCounts
from wsisam_server.segmentation.segmenter.segmenter import Segmenter
from wsisam_server.segmentation.segmenter.survey import Survey

__all__ = [
    "Batch",
    "LikeSurvey",
    "PrefetchCounts",
    "ProgressListener",
    "PromptListener",
    "PromptListeners",
    "Segmenter",
    "SilentListener",
    "Survey",
    "failure_reason",
]
