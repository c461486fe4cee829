"""An encoder compiled in this process, at once: for measuring what its answers are worth.

A server never does this. There the trial does it in a process of its own, and torch answers meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsisam_server.inference.encoders import library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_model import WsiSam
    from wsisam_server.inference.encoders.agreement import NumberType


class AtOnce(library.CompiledEncoder):
    """An `EncoderRunner` that is OpenVINO's from the first window on."""

    description = "OpenVINO"
    nbytes = 0


def run_at_once(model: WsiSam, number_types: Sequence[NumberType], threads: int) -> dict[NumberType, AtOnce]:
    """A model's encoder, compiled in each of some number types. Blocks for half a minute.

    Args:
        model: on the CPU, loaded from files that are still there.
        number_types: that it is compiled for.
        threads: CPU threads of a run.

    Raises:
        EncoderError: OpenVINO is missing, too old, or cannot run it.
    """
    from wsisam_model.loading import load  # noqa: PLC0415

    paths = model.paths
    # Read again: the model's own encoder was rewritten for torch.
    encoder = load(paths.sam, paths.high, paths.low, paths.additions).encoder.eval()
    sides = library.sides_of(encoder, model.image_size)
    converted = library.convert(encoder, model.image_size)
    return {
        one: AtOnce({side: library.compile_for(converted, side, threads, one) for side in sides}, threads, one)
        for one in number_types
    }
