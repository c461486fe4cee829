"""Trains on the annotations of a QuPath project, measures the result, and gives it a name.

    python train_on_project.py Colon/project.qpproj Gland our-glands [FOLDER]

A store or a server (HOST:PORT) in place of the project works as well. Each step is a command of wsisam, printed before
it runs. A step that is done is not done again: the same command goes on where it was stopped. Slides that validate are
never trained on, and the numbers are of those alone.
"""

import shlex
import subprocess
import sys
from pathlib import Path


def steps(source: str, path_class: str, name: str, folder: Path) -> list[tuple[list[str], Path]]:
    """The commands, each with what is there when it is done."""
    manifest, run = folder / "set" / "manifest.csv", folder / "run"
    best, ours = run / "best" / "additions.safetensors", folder / f"{name}.safetensors"
    before, after = folder / "before.json", folder / "after.json"
    return [
        (["dataset", source, str(folder / "set"), "--class", path_class], manifest),
        # As good as it is without training: what there is to gain.
        (["evaluate", str(manifest), "--split", "val", "--prompts", "box,1,3", "--json", str(before)], before),
        (["train", str(manifest), "--out", str(run)], best),
        (["calibrate", str(manifest), "--additions", str(best), "--out", str(ours)], ours),
        (["evaluate", str(manifest), "--split", "val", "--prompts", "box,1,3", "--additions", str(ours),
          "--json", str(after)], after),
        (["weights", "add", name, "--additions", str(ours)], folder / "added"),
    ]  # fmt: skip


def main(source: str, path_class: str, name: str, folder: Path) -> None:
    """Runs what is not done."""
    folder.mkdir(exist_ok=True)
    for words, done in steps(source, path_class, name, folder):
        if done.exists():
            continue
        print("$", shlex.join(["wsisam", *words]), flush=True)
        subprocess.run([sys.executable, "-m", "wsisam_server", *words], check=True)
        done.touch()
    print(f"served by: wsisam serve --models wsisam-lite,{name}")


if __name__ == "__main__":
    main(*sys.argv[1:4], Path(sys.argv[4] if len(sys.argv) > 4 else sys.argv[3]))
