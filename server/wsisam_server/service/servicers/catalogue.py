"""The list of models as messages: those that this server runs, and those that it could."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsisam.v1 import segmentation_pb2 as pb
from wsisam_model import available_models

if TYPE_CHECKING:
    from wsisam_server.segmentation.segmenter import Segmenter

KINDS = {"box": pb.PROMPT_KIND_BOX, "points": pb.PROMPT_KIND_POINTS, "shape": pb.PROMPT_KIND_SHAPE}


def models(segmenter: Segmenter) -> list[pb.Model]:
    """All models, the default first."""
    described = {entry.name: entry for entry in available_models()}
    messages = []
    for number, listed in enumerate(segmenter.models_listed()):
        info, licence = listed.available.info, listed.available.licence
        entry = described.pop(info.name, None)
        messages.append(
            pb.Model(
                name=info.name,
                description=info.description,
                image_size=info.image_size,
                state=pb.MODEL_STATE_LOADED if listed.loaded else pb.MODEL_STATE_INSTALLED,
                is_default=number == 0,
                weights_hash=info.weights_hash,
                uses_low=info.uses_low,
                supported_prompts=[KINDS[kind] for kind in entry.supported_prompts] if entry else [],
                licence=licence or (entry.licence if entry else ""),
                memory_bytes=listed.nbytes,
                encoder=listed.encoder,
            )
        )
    messages += [
        pb.Model(
            name=entry.name,
            description=entry.description,
            image_size=entry.image_size,
            state=pb.MODEL_STATE_NOT_INSTALLED,
            uses_low=entry.uses_low,
            supported_prompts=[KINDS[kind] for kind in entry.supported_prompts],
            licence=entry.licence,
            install_hint=entry.install_hint,
        )
        for entry in described.values()
    ]
    return messages
