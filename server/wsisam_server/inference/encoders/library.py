"""OpenVINO, as far as it is needed here. No other module imports it."""

from __future__ import annotations

import re
import sys
import threading
import warnings
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from wsisam_server.inference.encoders.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from wsisam_model import EncoderOutput
    from wsisam_model.encoder import ImageEncoder
    from wsisam_server.inference.encoders.agreement import NumberType

_HINTS: Final[dict[NumberType, str]] = {"float32": "f32", "bfloat16": "bf16"}

MIN_VERSION: Final = (2025, 4)
"""The oldest that was tried."""

INSTALL: Final = 'pip install ".[openvino]"'

_TELEMETRY: Final = "openvino_telemetry"
_importing = threading.Lock()


def installed_version() -> str | None:
    """The version of the installed OpenVINO; None where there is none. Imports nothing."""
    try:
        return metadata.version("openvino")
    except metadata.PackageNotFoundError:
        return None


def require_version() -> str:
    """The version of the installed OpenVINO.

    Raises:
        EncoderError: there is none, or it is too old.
    """
    version = installed_version()
    if version is None:
        raise EncoderError(f"OpenVINO is not installed ({INSTALL})")
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < MIN_VERSION:
        raise EncoderError(f"OpenVINO {version} is too old; {'.'.join(map(str, MIN_VERSION))} is needed ({INSTALL})")
    return version


def import_openvino() -> Any:
    """Imports OpenVINO.

    Its wheel brings a package that reports each import to its makers. A server in a hospital reports nothing: that
    package is hidden while OpenVINO looks for it, and OpenVINO then does without.

    Raises:
        EncoderError: it is missing, too old, or cannot be loaded.
    """
    version = require_version()
    with _importing:
        hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == _TELEMETRY}
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment] # how Python itself marks what cannot be imported
        try:
            import openvino  # noqa: PLC0415 - optional
        except Exception as error:  # whatever a broken installation raises
            raise EncoderError(f"OpenVINO {version} cannot be loaded ({error})") from error
        finally:
            del sys.modules[_TELEMETRY]
            sys.modules.update(hidden)
    return openvino


def sides_of(encoder: ImageEncoder, image_size: int) -> list[int]:
    """Sides of the images that an encoder is compiled for: whole ones, and the middle where it takes parts."""
    from wsisam_model import grid  # noqa: PLC0415

    return [image_size, *([grid.middle_side(image_size)] if encoder.takes_parts else [])]


def convert(encoder: ImageEncoder, side: int) -> Any:
    """Converts an encoder, for images of any size that it takes.

    Args:
        encoder: before `freeze`: OpenVINO takes layers as they are, not those that write in place.
        side: of a whole image in pixels.

    Returns:
        An `openvino.Model`, whose input is [?, 3, ?, ?].
    """
    import torch  # noqa: PLC0415

    openvino = import_openvino()
    encoder.requires_grad_(requires_grad=False)
    example = torch.zeros(1, 3, side, side)
    with warnings.catch_warnings(), torch.no_grad():
        # what does not follow from the image's size is fixed by tracing, as it should be, and each such place warns
        warnings.simplefilter("ignore")
        # Traced by ourselves: OpenVINO would trace with checks, which takes three times as long.
        traced = torch.jit.trace(_as_tensors(encoder), example, check_trace=False, strict=False)  # type: ignore[no-untyped-call]
        return openvino.convert_model(traced, example_input=example)


def _as_tensors(encoder: ImageEncoder) -> Any:
    """A module that returns the encoder's tensors alone: nothing else can be traced."""
    from torch import nn  # noqa: PLC0415

    class Tensors(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            output: EncoderOutput = self.encoder(images)
            return output.tensors

    return Tensors()


def compile_for(converted: Any, side: int, threads: int, number_type: NumberType = "float32") -> bytes:
    """Compiles a converted encoder for single images of one size. Returns what `CompiledEncoder` loads."""
    openvino = import_openvino()
    model = converted.clone()
    model.reshape({model.inputs[0]: openvino.PartialShape([1, 3, side, side])})
    exported = openvino.Core().compile_model(model, "CPU", _properties(threads, number_type)).export_model()
    return bytes(exported.getvalue())


class CompiledEncoder:
    """An encoder compiled by OpenVINO. Safe from several threads, which wait for each other.

    Args:
        compiled: what `compile_for` returned, by the side of the images.
        threads: CPU threads of a run.
        number_type: as it was compiled for.

    Raises:
        EncoderError: it cannot be loaded.
    """

    def __init__(self, compiled: Mapping[int, bytes], threads: int, number_type: NumberType = "float32") -> None:
        openvino = import_openvino()
        core = openvino.Core()
        try:
            properties = _properties(threads, number_type)
            models = {side: core.import_model(data, "CPU", properties) for side, data in compiled.items()}
        except RuntimeError as error:
            raise EncoderError(f"the compiled encoder cannot be loaded ({_first_line(error)})") from error
        # What embeddings of different types are kept apart by; float32 is the model's own.
        self.number_type = "" if number_type == "float32" else number_type
        self._requests = {side: model.create_infer_request() for side, model in models.items()}
        self._lock = threading.Lock()

    def takes(self, images: Tensor) -> bool:
        """Whether images are of a size that it was compiled for."""
        return images.shape[-1] == images.shape[-2] and images.shape[-1] in self._requests

    def __call__(self, images: Tensor) -> EncoderOutput:
        """Encodes images [B, 3, s, s] that it takes, float32 on the CPU, one after the other.

        Raises:
            EncoderError: it failed.
        """
        import torch  # noqa: PLC0415

        from wsisam_model import EncoderOutput  # noqa: PLC0415

        outputs = [self._encode(images[[number]].contiguous()) for number in range(len(images))]
        if len(outputs) == 1:
            return outputs[0]._replace(number_type=self.number_type)
        together = (torch.cat(same) for same in zip(*(output.tensors for output in outputs), strict=True))
        return EncoderOutput.of(together)._replace(number_type=self.number_type)

    def _encode(self, image: Tensor) -> EncoderOutput:
        import torch  # noqa: PLC0415

        from wsisam_model import EncoderOutput  # noqa: PLC0415

        with self._lock:
            try:
                made = self._requests[image.shape[-1]].infer({0: image.numpy()}, share_inputs=True, share_outputs=True)
            except RuntimeError as error:
                raise EncoderError(f"OpenVINO failed ({_first_line(error)})") from error
            # Copies: the next run writes to the same memory. As torch's encoder leaves them in memory, see `to_bytes`.
            return EncoderOutput.of(
                torch.from_numpy(made[index]).clone(memory_format=torch.channels_last) for index in range(len(made))
            )


def _properties(threads: int, number_type: NumberType) -> dict[str, Any]:
    return {
        # Left to itself, it takes bfloat16 where the processor has it.
        "INFERENCE_PRECISION_HINT": _HINTS[number_type],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        # Several servers or replicas on one machine would be pinned to the same cores.
        "ENABLE_CPU_PINNING": False,
    }


def _first_line(error: Exception) -> str:
    """OpenVINO's errors begin with places in its own sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return (telling or lines or [type(error).__name__])[0]
