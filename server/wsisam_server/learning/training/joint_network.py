"""All that trains together once the encoder's last stage does: that stage, and the weights of both routes on it.

An embedding of a changed stage is no longer what the base's decoder was made for. So the weights for boxes, which are
SAM's own decoder and a token beside it, learn with those for clicks.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from timm.models.tiny_vit import Attention
from torch import Tensor, nn

from wsisam_model import spatial
from wsisam_server.learning.training.errors import TrainingError
from wsisam_server.learning.training.network import Image, Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_model import Prompt
    from wsisam_model.additions import RouteName
    from wsisam_model.loading import Modules
    from wsisam_model.trainable import Trained
    from wsisam_server.learning.training.cache import Features

ROUTES: dict[RouteName, Trained] = {"clicks": "decoder+masks", "boxes": "tokens"}
"""What of each route trains beside the last stage: for boxes the paper's setting, since more of it costs accuracy."""


class JointNetwork(nn.Module):
    """The last stage and the networks of both routes. Parameters have the names that they have in an additions file.

    Args:
        base: the frozen base; copied, never changed.
        low: train the LR additions too.
        bfloat16: run the last stage in bfloat16 while it trains, and its gradients; the weights stay float32.

    Raises:
        TrainingError: this encoder's last stage cannot be trained.
    """

    def __init__(self, base: Modules, *, low: bool = True, bfloat16: bool = False) -> None:
        super().__init__()
        names = base.encoder.last_stage_names()
        if not names:
            raise TrainingError(f"the last stage of {base.variant.name} cannot be trained; leave out --last-stage")
        self.image_size = base.variant.image_size
        self.clicks = Network(base, ROUTES["clicks"], low=low)
        self.boxes = Network(base, ROUTES["boxes"], low=low)
        self.encoder = copy.deepcopy(base.encoder).eval().requires_grad_(requires_grad=False)
        for name in names:
            self.encoder.get_parameter(name).requires_grad_()
        for module in self.encoder.modules():
            # In evaluation mode timm keeps the biases of before the step. Batch norms stay as they are: the
            # statistics of a few windows are none.
            if isinstance(module, Attention):
                module.train()  # type: ignore[no-untyped-call]
        self._bfloat16 = bfloat16

    def images(self, features: Sequence[Features], device: torch.device) -> Image:
        """Runs the last stage on what the frozen stages made of some windows: gradients go through it."""
        frozen = torch.stack([each.embedding for each in features]).to(device, torch.float32)
        early = torch.stack([each.early for each in features]).to(device, torch.float32)
        wanted = self._bfloat16 and torch.is_grad_enabled()
        with torch.autocast(device.type, torch.bfloat16, enabled=wanted):
            embedding: Tensor = self.encoder.finish(frozen.to(memory_format=torch.channels_last))
        return Image(spatial.as_tokens(embedding.float()), early.to(memory_format=torch.channels_last))

    def route(self, prompt: Prompt) -> Network:
        """What answers a prompt of this kind, as `WsiSam` does."""
        return self.boxes if prompt.is_box_alone else self.clicks

    def trained_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that get gradients, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}
