"""The setting: which way the encoder shall be run, and giving it to a model."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wsisam_server.inference.encoders import library
from wsisam_server.inference.encoders.errors import EncoderError
from wsisam_server.inference.encoders.finding import Processor
from wsisam_server.inference.encoders.folder import EncoderFolder

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import torch

    from wsisam_model import WsiSam
    from wsisam_model.encoder import EncoderRunner, ImageEncoder
    from wsisam_model.loading import ModelPaths
    from wsisam_server.inference.encoders.agreement import NumberType

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncoderChoice:
    """How encoders shall be run. It travels to replicas.

    Attributes:
        folder: of findings and of what was compiled.
        way: "auto" takes what was measured to be faster on this machine; "openvino" takes OpenVINO where it can.
        eager: whether the process is there to stay, as a server is; see `SwitchingEncoder`.
        number_type: that OpenVINO runs it in. "auto" takes bfloat16 where the processor has it and the weights say that
            answers are as good. What is measured or trained wants float32.
    """

    folder: Path
    way: Literal["auto", "torch", "openvino"] = "auto"
    eager: bool = False
    number_type: Literal["auto", "float32", "bfloat16"] = "float32"

    def apply(self, model: WsiSam) -> WsiSam:
        """Has a model's encoder run this way. Returns the model."""
        number_type = self._type_for(model.name, model.encoder_types)
        model.encoder_runner = self.runner(
            model.encoder, model.name, model.paths, model.device, model.dtype, number_type=number_type
        )
        return model

    def _type_for(self, name: str, as_good: Collection[str]) -> NumberType:
        if self.number_type == "float32" or (self.number_type == "auto" and "bfloat16" not in as_good):
            return "float32"
        if Processor.here().has_bfloat16:
            return "bfloat16"
        if self.number_type == "bfloat16":
            _log.warning("%s: the encoder is run in float32: this processor has no bfloat16", name)
        return "float32"

    def runner(
        self,
        encoder: ImageEncoder,
        name: str,
        paths: ModelPaths,
        device: torch.device,
        dtype: torch.dtype,
        *,
        number_type: NumberType = "float32",
    ) -> EncoderRunner:
        """What runs an encoder this way; the encoder itself where that is all there is to it.

        Args:
            encoder: frozen.
            name: of its model, for people.
            paths: the model's files.
            device: where it is.
            dtype: its element type.
            number_type: that OpenVINO shall run it in.
        """
        import torch  # noqa: PLC0415

        if self.way == "torch":
            return encoder
        if device.type != "cpu" or dtype != torch.float32:
            if self.way == "openvino":
                _log.warning("%s: the encoder is run by torch: OpenVINO is for float32 on the CPU", name)
            return encoder
        try:
            library.require_version()
        except EncoderError as error:
            # Nobody asked for it, unless it was named.
            level = logging.WARNING if self.way == "openvino" or library.installed_version() else logging.INFO
            _log.log(level, "%s: the encoder is run by torch: %s", name, error)
            encoder.description = f"torch: {error}"
            return encoder
        from wsisam_server.inference.encoders.preparing import Preparation  # noqa: PLC0415
        from wsisam_server.inference.encoders.switching import SwitchingEncoder  # noqa: PLC0415

        preparation = Preparation(EncoderFolder(self.folder), forced=self.way == "openvino")
        return SwitchingEncoder(encoder, name, paths, preparation, number_type=number_type, eager=self.eager)
