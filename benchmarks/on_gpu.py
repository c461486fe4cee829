"""All that there is to know about a GPU, in the few minutes that there is one.

    python benchmarks/on_gpu.py [SLIDE] [--data FOLDER] [--minutes 8] [--device cuda] [--out on_gpu] [--only PART]...

FOLDER holds manifests as `manifests.py` writes them; without one the parts that need drawn objects are left out.
Without a SLIDE, one is made of noise. Each part has a share of the minutes (those that `--only` names share all of
them), stops when it is over, and says so. What is found is in OUT.json and OUT.md row by row, so that a run which is
cut keeps it. A measurement that fails, such as one that does not fit into memory, says why in its row.

`--small` is for trying all of this on a CPU: few repetitions, and the ViTs cut down to two blocks. It measures nothing.
"""

from __future__ import annotations

import argparse
import datetime as dt
import platform
import tempfile
from pathlib import Path

import torch
from gpu_setting import FULL, SMALL, Setting
from on_slide import cpu_flags
from server_memory import slides_in
from timed_parts import Part, Report, later, run

PARTS: tuple[Part, ...] = (
    Part("clicks", "Clicks and a batch through the server", 12, later("gpu_server", "click_rows")),
    Part("users", "Users of one server", 18, later("gpu_server", "user_rows")),
    Part("encoder", "Windows in one call of the encoder", 24, later("gpu_batches", "encoder_rows")),
    Part("types", "Number types, against float32", 4, later("gpu_types", "type_rows")),
    Part("decoder", "Clicks in one run of the decoder", 4, later("gpu_batches", "decode_rows")),
    Part("truth", "Number types, against what is drawn", 13, later("gpu_types", "truth_rows"), needs_data=True),
    Part("training", "Training", 25, later("gpu_training", "training_rows"), needs_data=True),
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("slide", type=Path, nargs="?")
    arguments.add_argument("--data", type=Path)
    arguments.add_argument("--minutes", type=float, default=8)
    arguments.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments.add_argument("--out", type=Path, default=Path("on_gpu"))
    arguments.add_argument("--only", action="append", choices=[part.name for part in PARTS])
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--small", action="store_true")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    manifests = () if options.data is None else tuple(sorted(options.data.glob("*.csv")))
    if options.data is not None and not manifests:
        arguments.error(f"{options.data} holds no manifests (*.csv)")
    parts = [part for part in PARTS if not options.only or part.name in options.only]
    with tempfile.TemporaryDirectory() as folder:
        slide = slides_in(Path(folder), 1)[0] if options.slide is None else options.slide.resolve()
        sizes = SMALL if options.small else FULL
        setting = Setting(slide, manifests, options.device, options.threads, options.out, options.small, sizes)
        about = {
            "date": dt.datetime.now(tz=dt.timezone.utc).date().isoformat(),
            "device": _device(options.device),
            "machine": f"{platform.machine()}, {options.threads} threads; {cpu_flags()}",
            "torch": torch.__version__,
            "slide": "made of noise" if options.slide is None else slide.name,
            "manifests": ", ".join(manifest.stem for manifest in manifests) or "none",
            "minutes": options.minutes,
            "float32": "of the server as torch has it, with TF32 in convolutions on a GPU; elsewhere without any",
        }
        if options.small:
            about["small"] = "tried at small size: these numbers measure nothing"
        report = Report(options.out, about)
        run(parts, setting, options.minutes, report, has_data=bool(manifests))
    print(f"\n{report.markdown()}\nWritten: {options.out}.json, {options.out}.md")


def _device(device: str) -> str:
    if not device.startswith("cuda"):
        return f"{device}: peak memory and TF32 are a GPU's, and left out"
    found = torch.cuda.get_device_properties(device)
    return f"{found.name}, {found.total_memory // 2**20} MiB, CUDA {torch.version.cuda}"


if __name__ == "__main__":
    main()
