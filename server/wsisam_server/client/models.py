"""What a client asks of a server's list of models."""

from __future__ import annotations

from wsisam.v1 import segmentation_pb2


def is_installed(model: segmentation_pb2.Model) -> bool:
    """Whether requests may name a model, loaded or not."""
    return model.state in {segmentation_pb2.MODEL_STATE_INSTALLED, segmentation_pb2.MODEL_STATE_LOADED}
