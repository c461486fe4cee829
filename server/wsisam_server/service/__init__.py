"""Service room: the gRPC servicers. Translates messages, calls the rooms below, translates back. No logic."""

from wsisam_server.service.segmentation import SegmentationServicer
from wsisam_server.service.to_proto import status_details

__all__ = ["SegmentationServicer", "status_details"]
