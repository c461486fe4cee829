"""Is an encoding read from the disk faster than made anew, and what should be kept: the encoder's output, or all?

    python benchmarks/embedding_store.py [SLIDE] [--threads N]

In turn in one run: encode and prepare; read and prepare from the store; the same of a file that the system does not
hold in memory; and for comparison, all that is prepared, read in the same way. Medians of the rounds.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import safetensors.torch
import torch
from claims import Claim, note

from wsisam_model import WsiSam
from wsisam_server.core.geometry import Window
from wsisam_server.core.settings import MIB, Limits
from wsisam_server.inference.embeddings import EmbeddingStore
from wsisam_server.inference.scheduler import StoredFeatures
from wsisam_server.slides import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

ROUNDS = 9
WINDOW = Window(600.0, 600.0, 1.0, 256)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("slide", type=Path, nargs="?")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    model = WsiSam.from_name("wsisam-lite")
    image = np.full((model.image_size, model.image_size, 3), 200, np.uint8)
    if options.slide is not None:
        image = open_slide(options.slide.resolve(), Limits()).read(WINDOW)
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddingStore(Path(folder) / "embeddings", 1024 * MIB)
        stored = StoredFeatures(model, store)
        stored.save("5" * 64, WINDOW, "high", model.features(image))
        (file,) = store.folder.rglob("*.embedding")
        embedding = model.encode(image, roles=("high",))
        prepared = Path(folder) / "prepared"
        prepared.write_bytes(safetensors.torch.save(everything(embedding)))

        def load() -> None:
            features = stored.load("5" * 64, WINDOW, "high")
            assert features is not None
            model.prepare(features, roles=("high",))

        def load_everything() -> None:
            data = prepared.read_bytes()
            hashlib.sha256(data).digest()
            safetensors.torch.load(data)

        ways: dict[str, tuple[Callable[[], object], Path | None]] = {
            "encode and prepare": (lambda: model.encode(image, roles=("high",)), None),
            "read, prove, prepare": (load, None),
            "the same, not in memory": (load, file),
            "read and prove all that is prepared": (load_everything, None),
            "the same, not in memory ": (load_everything, prepared),
        }
        times = {name: in_milliseconds(*way) for name, way in ways.items()}
        for _ in range(ROUNDS - 1):
            for name, way in ways.items():
                times[name] += in_milliseconds(*way)
        print(f"{torch.get_num_threads()} threads, {ROUNDS} rounds")
        print(
            f"entry {file.stat().st_size / MIB:.1f} MiB; all that is prepared {prepared.stat().st_size / MIB:.1f} MiB"
        )
        base = statistics.median(times["encode and prepare"])
        for name, spent in times.items():
            median = statistics.median(spent)
            print(f"| {name.strip()} | {median:.0f} ms | {base / median:.1f} |")
        read = statistics.median(times["read, prove, prepare"])
        note([Claim("an encoding to the same read from the disk", base / read)])


def everything(embedding: object) -> dict[str, Tensor]:
    """All tensors of an embedding, channels last."""
    parts = vars(embedding)["_parts"].values()
    tensors = [vars(embedding)["image"], *(tensor for part in parts for tensor in part)]
    return {
        str(number): (tensor.permute(0, 2, 3, 1) if tensor.ndim > 3 else tensor).contiguous()
        for number, tensor in enumerate(tensors)
    }


def in_milliseconds(call: Callable[[], object], forget: Path | None) -> list[float]:
    if forget is not None:
        os.sync()
        descriptor = os.open(forget, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    started = time.perf_counter()
    call()
    return [(time.perf_counter() - started) * 1000]


if __name__ == "__main__":
    main()
