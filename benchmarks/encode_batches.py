"""Whether a device gains from encoding several windows in one call: time for each window, against one at a time.

    python benchmarks/encode_batches.py [--model wsisam-lite] [--device cpu] [--rounds 5]

The sizes take turns in each round, so that other work on the machine meets all of them alike: read the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from wsisam_model import WsiSam

SIZES = (1, 2, 4)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", default="wsisam-lite")
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    model = WsiSam.from_name(options.model, device=options.device)
    seconds(model, 1)  # warming up
    times: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(options.rounds):
        for size in SIZES:
            times[size].append(seconds(model, size) / size)
    print(f"{options.model} on {options.device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    alone = times[1]
    for size, each in times.items():
        ratios = sorted(one / other for one, other in zip(each, alone, strict=True))
        low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        print(
            f"{size} at once: {1000 * statistics.median(each):7.0f} ms a window, "
            f"ratio {statistics.median(ratios):.2f} (quartiles {low:.2f} to {high:.2f})"
        )


@torch.inference_mode()
def seconds(model: WsiSam, size: int) -> float:
    """How long one call takes on so many images. What is in them makes no difference."""
    side = model.image_size
    images = torch.randn(size, 3, side, side, device=model.device, dtype=model.dtype)
    images = images.to(memory_format=torch.channels_last)
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)  # the images are made by now
    started = time.perf_counter()
    model._encoder(images).embedding.float().sum().item()  # noqa: SLF001 - its public way takes one image
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
