"""Service room: the gRPC servicers. Translates messages, calls the rooms below, translates back. No logic."""

from wsisam_server.service.annotations import AnnotationsServicer
from wsisam_server.service.details import status_details
from wsisam_server.service.segmentation import SegmentationServicer

__all__ = ["AnnotationsServicer", "SegmentationServicer", "status_details"]
