"""What is known of a named model: `model.json` in its folder.

One JSON object: `format` (1) and the fields of `ModelRecord` by their names; `files` is an object by part, `settings`
one of the fields of `ModelSettings`. Written once, when the model is added, and never changed.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from wsisam_model import ModelSettings
from wsisam_server.inference.weights.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT: Final = 1
RECORD: Final = "model.json"

Part: TypeAlias = Literal["sam", "high", "low", "additions"]
"""What a file is to its model: keywords of `WsiSam.from_files`."""

PARTS: Final[tuple[Part, ...]] = get_args(Part)

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class WeightsFile:
    """One file of a model.

    Attributes:
        file: its name in the model's folder, or the absolute path of a file that stays where it is.
        sha256: of its bytes, in hex.
        nbytes: its size.
        source: the URL or path that it came from.
    """

    file: str
    sha256: str
    nbytes: int
    source: str

    def __post_init__(self) -> None:
        if not Path(self.file).is_absolute() and (self.file in {"", ".", ".."} or Path(self.file).name != self.file):
            raise ValueError(f"{self.file!r} is neither a file of this folder nor an absolute path")
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"{self.sha256!r} is no SHA-256")
        if self.nbytes < 0:
            raise ValueError(f"a file of {self.nbytes} bytes")

    @property
    def is_linked(self) -> bool:
        """Whether the file stays where its owner keeps it."""
        return Path(self.file).is_absolute()


@dataclass(frozen=True)
class ModelRecord:
    """A named model.

    Attributes:
        name: what requests name it by.
        description: which encoder, and what was added to it.
        added: when, ISO 8601 in UTC.
        licence: of the weights; empty if unknown.
        source: where they come from, for people; empty if unknown.
        base: the model whose frozen SAM it uses; None if it has its own.
        image_size: side of its square input in pixels.
        uses_low: whether it reads the low-resolution window.
        weights_hash: `wsisam_model.checkpoint.weights_hash` of all its tensors.
        nbytes: of its weights in memory, in float32.
        settings: how it is used.
        files: by part.
    """

    name: str
    description: str
    added: str
    licence: str
    source: str
    base: str | None
    image_size: int
    uses_low: bool
    weights_hash: str
    nbytes: int
    settings: ModelSettings
    files: Mapping[Part, WeightsFile]

    def to_json(self) -> str:
        """The content of `model.json`."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, folder: Path) -> ModelRecord:
        """Reads the record in a model's folder, which has the model's name.

        Raises:
            WeightsError: there is none, it is of a newer version, or no record.
        """
        path = folder / RECORD
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _broken(path, "it is missing or cannot be read") from error
        if not isinstance(content, dict) or not isinstance(content.get("format"), int):
            raise _broken(path, "it is no record of a model")
        if content.pop("format") != FORMAT:
            raise WeightsError(f"{path} is of another version of wsisam; update this one")
        try:
            return cls._of(content, folder.name)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _broken(path, f"{type(error).__name__}: {error}") from error

    @classmethod
    def _of(cls, content: dict[str, Any], name: str) -> ModelRecord:
        files = {_part(part): WeightsFile(**each) for part, each in content.pop("files").items()}
        settings = ModelSettings(**content.pop("settings"))
        record = cls(**content, files=files, settings=settings)
        for of, kinds in ((record, _KINDS), (settings, _KINDS_OF_SETTINGS)):
            for name_of_field, allowed in kinds.items():
                value = getattr(of, name_of_field)
                if type(value) not in allowed:
                    raise TypeError(f"{name_of_field} is {value!r}")
        if record.name != name:
            raise ValueError(f"it is the record of {record.name!r}")
        return record


_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(("name", "description", "added", "licence", "source", "weights_hash"), (str,)),
    **dict.fromkeys(("image_size", "nbytes"), (int,)),
    "base": (str, type(None)),
    "uses_low": (bool,),
}
_KINDS_OF_SETTINGS: Final[Mapping[str, tuple[type, ...]]] = {
    field.name: (bool,) if isinstance(field.default, bool) else (int, type(None)) for field in fields(ModelSettings)
}


def _part(name: str) -> Part:
    for part in PARTS:
        if part == name:
            return part
    raise ValueError(f"no model has a part {name!r}")


def _broken(path: Path, problem: str) -> WeightsError:
    name = path.parent.name
    return WeightsError(f"{path}: {problem}. Remove the model and add it again: wsisam weights remove {name}")
