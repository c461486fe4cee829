"""What an evaluation has measured so far, in a file, so that it goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from wsisam_server.learning.evaluation.measures import Measured

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wsisam_model import WsiSam
    from wsisam_server.learning.evaluation.variants import Variant

    Answers = Mapping[Variant, list[Measured]]


class JournalError(Exception):
    """A journal cannot be gone on with; the text says why and what to do."""


def identity_of(model: WsiSam, manifest: Path, **conditions: Any) -> dict[str, Any]:
    """What tells an evaluation from others: weights, data, and the conditions that are given."""
    return {
        "weights": model.weights_hash,
        "low": [model.settings.read_low, model.settings.low_middle],
        "manifest": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        **conditions,
    }


class Journal:
    """One JSON line an object, after one that says what is measured.

    A last line that was cut off by a kill is measured again.

    Args:
        path: the file; made if missing.
        identity: plain JSON values: weights, data and conditions. A file with others is refused.

    Raises:
        JournalError: the file is no journal, or of another evaluation.
        OSError: it cannot be read or written.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self._path = path
        self._done: dict[str, Answers] = {}
        head = json.dumps(identity, sort_keys=True)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1].splitlines()
        if not whole:
            if text and not head.startswith(text):
                raise JournalError(f"{path} is no journal of an evaluation; name another file")
            path.write_text(head + "\n", encoding="utf-8")
            return
        if whole[0] != head:
            raise JournalError(
                f"{path} is of other weights, data or conditions; name another file or use the same ones"
            )
        for line in whole[1:]:
            entry = json.loads(line)
            self._done[entry["object"]] = {
                variant: [Measured(**each) for each in answers] for variant, answers in entry["answers"].items()
            }
        path.write_text("".join(f"{line}\n" for line in whole), encoding="utf-8")

    def get(self, line: int, label: int) -> Answers | None:
        """What was measured of an object, or None."""
        return self._done.get(f"{line}/{label}")

    def add(self, line: int, label: int, answers: Answers) -> None:
        """Notes an object, at once on the disk."""
        entry = {"object": f"{line}/{label}", "answers": {name: list(map(asdict, of)) for name, of in answers.items()}}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
