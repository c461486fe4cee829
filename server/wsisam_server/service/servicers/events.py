"""What happens in a session, as messages of its stream."""

from __future__ import annotations

from wsisam.v1 import segmentation_pb2
from wsisam_server.service import sessions
from wsisam_server.service.interceptors import normalized
from wsisam_server.wire import to_proto
from wsisam_server.wire.details import status_of

STAGES = {
    sessions.WaitingForModel: segmentation_pb2.STAGE_LOADING_MODEL,
    sessions.WaitingForPixels: segmentation_pb2.STAGE_WAITING_FOR_PIXELS,
    sessions.WaitingForEncoder: segmentation_pb2.STAGE_ENCODING,
    sessions.Refining: segmentation_pb2.STAGE_REFINING,
}


def message_of(value: sessions.Event) -> segmentation_pb2.InteractResponse:
    """What happened in a session."""
    reply = segmentation_pb2.InteractResponse
    if isinstance(value, sessions.OutlineReady):
        return reply(
            outline=segmentation_pb2.ObjectOutline(
                object_id=value.object_id, revision=value.revision, outline=to_proto.outline(value.outcome, value.saved)
            )
        )
    if isinstance(value, sessions.Failed):
        path = "prompt." if value.object_id or value.revision else ""
        return reply(
            error=segmentation_pb2.ObjectError(
                object_id=value.object_id, revision=value.revision, error=status_of(normalized(value.error), path)
            )
        )
    if isinstance(value, sessions.PixelsWanted):
        return reply(pixels_needed=to_proto.pixels_needed(value.windows))
    progress = segmentation_pb2.Progress(object_id=value.object_id, revision=value.revision, stage=STAGES[type(value)])
    if isinstance(value, sessions.Refining):
        progress.windows_done, progress.windows_total = value.done, value.total
    return reply(progress=progress)
