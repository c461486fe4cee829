"""An encoder compiled in this process, at once: for measuring what its answers are worth.

A server never does this. There the trial does it in a process of its own, and torch answers meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsisam_server.inference.encoders import library

if TYPE_CHECKING:
    from wsisam_model import WsiSam
    from wsisam_server.inference.encoders.agreement import NumberType


class AtOnce(library.CompiledEncoder):
    """An `EncoderRunner` that is OpenVINO's from the first window on."""

    description = "OpenVINO"
    nbytes = 0


def run_compiled(model: WsiSam, number_type: NumberType, threads: int) -> WsiSam:
    """Has OpenVINO run a model's encoder in a number type. Blocks for half a minute.

    Args:
        model: on the CPU, loaded from files that are still there.
        number_type: that it is compiled for.
        threads: CPU threads of a run.

    Returns:
        The model.

    Raises:
        EncoderError: OpenVINO is missing, too old, or cannot run it.
    """
    from wsisam_model import grid  # noqa: PLC0415
    from wsisam_model.loading import load  # noqa: PLC0415

    paths = model.paths
    # Read again: the model's own encoder was rewritten for torch.
    encoder = load(paths.sam, paths.high, paths.low, paths.additions).encoder.eval()
    sides = [model.image_size, *([grid.middle_side(model.image_size)] if encoder.takes_parts else [])]
    converted = library.convert(encoder, model.image_size)
    compiled = {side: library.compile_for(converted, side, threads, number_type) for side in sides}
    model.encoder_runner = AtOnce(compiled, threads, number_type)
    return model
