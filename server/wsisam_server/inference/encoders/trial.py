"""The process that converts, compiles and tries an encoder: whatever it dies of, the server does not.

In: a request in JSON, and a folder for what it compiles. Out: its files there, and in `trial.json` what was measured.
It ends when its standard input does, that is, with the process that started it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import statistics
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from wsisam_model.loading import ModelPaths, load
from wsisam_server.inference.encoders.agreement import TOLERANCES, difference
from wsisam_server.inference.encoders.errors import EncoderError
from wsisam_server.inference.encoders.finding import Size
from wsisam_server.inference.encoders.folder import compiled_file
from wsisam_server.inference.encoders.library import CompiledEncoder, compile_for, convert, sides_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from wsisam_model import EncoderOutput
    from wsisam_model.encoder import ImageEncoder
    from wsisam_server.inference.encoders.agreement import NumberType

RESULT: Final = "trial.json"

NICENESS: Final = 10
"""The server answers meanwhile."""

ROUNDS: Final = 9
LEAST_ROUNDS: Final = 3
ROUNDS_SECONDS: Final = 60.0
"""For one size of images. The rounds end then, if there were enough."""


@dataclass(frozen=True)
class TrialRequest:
    """What is to be tried.

    Attributes:
        paths: the model's files.
        encoder: `weights_hash` that its frozen encoder must have.
        threads: CPU threads of a run.
        number_type: that OpenVINO shall run it in.
    """

    paths: ModelPaths
    encoder: str
    threads: int
    number_type: NumberType = "float32"

    def to_json(self) -> str:
        """As `from_json` reads it."""
        return json.dumps(dataclasses.asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> TrialRequest:
        """What `to_json` wrote."""
        content: dict[str, Any] = json.loads(text)
        paths = {part: None if path is None else Path(path) for part, path in content.pop("paths").items()}
        return cls(ModelPaths(**paths), **content)  # type: ignore[arg-type] # sam is never None


def read_sizes(folder: Path) -> dict[int, Size]:
    """What a trial that ended well has measured, by the side of the images.

    Raises:
        ValueError: it is something else.
    """
    content = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    try:
        return {int(side): Size(**size) for side, size in content.items()}
    except (AttributeError, TypeError) as error:
        raise ValueError(str(error)) from error


def main(arguments: list[str]) -> None:
    """Runs one trial: a request in JSON, and the folder.

    Raises:
        EncoderError: OpenVINO cannot run the encoder, or gives something else.
    """
    text, place = arguments
    threading.Thread(target=_end_with_parent, daemon=True).start()
    step_back()
    run(TrialRequest.from_json(text), Path(place))


def step_back() -> None:
    """Lets all others have the processor first."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    # Linux with autogroups shares the processor among sessions, and this process has one of its own.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICENESS))


def run(request: TrialRequest, folder: Path) -> None:
    """See `main`."""
    torch.set_num_threads(request.threads)
    paths = request.paths
    modules = load(paths.sam, paths.high, paths.low, paths.additions)
    encoder, image_size = modules.encoder.eval(), modules.variant.image_size
    sides = sides_of(encoder, image_size)
    try:
        converted = convert(encoder, image_size)
    except EncoderError:
        raise
    except Exception as error:
        raise EncoderError(f"OpenVINO cannot convert this encoder ({error})") from error
    encoder.freeze()
    encoder.to(memory_format=torch.channels_last)
    if encoder.weights_hash() != request.encoder:
        raise EncoderError("the model's files hold another encoder now")
    sizes = {}
    for side in sides:
        compiled = compile_for(converted, side, request.threads, request.number_type)
        (folder / compiled_file(side)).write_bytes(compiled)
        runner = CompiledEncoder({side: compiled}, request.threads, request.number_type)
        measured = _measure(encoder, runner, side)
        if not measured.difference <= TOLERANCES[request.number_type]:
            raise EncoderError(f"OpenVINO's features differ from torch's by {measured.difference:.2g} of the largest")
        sizes[side] = dataclasses.replace(measured, sha256=hashlib.sha256(compiled).hexdigest())
    text = json.dumps({side: dataclasses.asdict(size) for side, size in sizes.items()})
    (folder / RESULT).write_text(text, encoding="utf-8")


@torch.inference_mode()
def _measure(encoder: ImageEncoder, runner: CompiledEncoder, side: int) -> Size:
    images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=torch.channels_last)
    off = difference(runner(images), encoder(images))
    seconds: list[tuple[float, float]] = []
    began = time.perf_counter()
    while len(seconds) < LEAST_ROUNDS or (len(seconds) < ROUNDS and time.perf_counter() - began < ROUNDS_SECONDS):
        seconds.append((_seconds(encoder, images), _seconds(runner, images)))
    slow, fast = zip(*seconds, strict=True)
    ratio = statistics.median(one / other for other, one in seconds)
    return Size(torch=min(slow), openvino=min(fast), ratio=ratio, difference=off, sha256="")


def _seconds(run: Callable[[Tensor], EncoderOutput], images: Tensor) -> float:
    started = time.perf_counter()
    run(images)
    return time.perf_counter() - started


def _end_with_parent() -> None:
    # Not through `sys.stdin`: the interpreter cannot end while a thread waits there.
    while os.read(0, 1024):
        pass
    os._exit(3)
