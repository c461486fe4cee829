"""Servicers: a call's message in, its values to the folders below, their answer out as a message. No logic."""

from wsisam_server.service.servicers.annotations import AnnotationsServicer
from wsisam_server.service.servicers.segmentation import SegmentationServicer

__all__ = ["AnnotationsServicer", "SegmentationServicer"]
