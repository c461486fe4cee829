"""What was found out about an encoder on this machine, and what it holds for."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsisam_server.inference.encoders.agreement import NumberType

FORMAT: Final = 2
"""Counted up when the encoder is compiled or measured in another way; what was found before is then found anew."""

MARGIN: Final = 0.95
"""Of torch's time that OpenVINO may take at most to be chosen: less of a difference is not worth a second copy."""

_BFLOAT16: Final = {"avx512_bf16", "amx_bf16"}

_TELLING: Final = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "sve")


@dataclass(frozen=True)
class Processor:
    """A kind of processor.

    Attributes:
        name: as its maker calls it.
        features: its instruction sets that matter here.
        digest: of its name and all its instruction sets.
    """

    name: str
    features: tuple[str, ...]
    digest: str

    @classmethod
    def here(cls) -> Processor:
        """This machine's. Outside of Linux the system tells its name only."""
        try:
            text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        # `flags` on x86, `Features` on ARM, where there often is no name
        flags = set(_entry(text, "flags|Features").split())
        name = _entry(text, "model name") or platform.processor() or platform.machine()
        digest = hashlib.sha256(" ".join([name, *sorted(flags)]).encode()).hexdigest()
        return cls(name, tuple(feature for feature in _TELLING if feature in flags), digest)

    @property
    def has_bfloat16(self) -> bool:
        """Whether it calculates in bfloat16 itself; on others that would be slower, not faster."""
        return bool(_BFLOAT16.intersection(self.features))

    def __str__(self) -> str:
        """For people."""
        return f"{self.name} ({', '.join(self.features)})" if self.features else self.name


@dataclass(frozen=True)
class Conditions:
    """What a finding holds for: with any other of these, all is found anew.

    Attributes:
        encoder: the frozen encoder's `weights_hash`.
        openvino: version.
        torch: version.
        processor: `Processor.digest`.
        threads: CPU threads of a run.
        number_type: that OpenVINO runs it in.
    """

    encoder: str
    openvino: str
    torch: str
    processor: str
    threads: int
    number_type: NumberType

    @property
    def key(self) -> str:
        """Names a folder."""
        text = json.dumps([FORMAT, *dataclasses.astuple(self)])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Size:
    """What was found for images of one size.

    Attributes:
        torch: seconds of a run, the shortest.
        openvino: the same.
        ratio: OpenVINO's time as a part of torch's: the median of runs in turn.
        difference: largest, as a part of the largest value.
        sha256: of the compiled encoder's file.
    """

    torch: float
    openvino: float
    ratio: float
    difference: float
    sha256: str

    @property
    def is_faster(self) -> bool:
        """Whether OpenVINO is."""
        return self.ratio <= MARGIN


@dataclass(frozen=True)
class Finding:
    """What was found out.

    Attributes:
        conditions: what it holds for.
        processor: the same processor, for people.
        model: a model with this encoder, for people.
        measured: when: seconds since 1970.
        sizes: by the side of the images; empty where there is a problem.
        problem: why OpenVINO cannot run it; empty where it can.
        checked: sides for which it agreed with torch on windows of slides, too.
    """

    conditions: Conditions
    processor: str
    model: str
    measured: float
    sizes: Mapping[int, Size] = field(default_factory=dict)
    problem: str = ""
    checked: tuple[int, ...] = ()

    def to_json(self) -> str:
        """As `from_json` reads it."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Finding:
        """What `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            content: dict[str, Any] = json.loads(text)
            if content.pop("format") != FORMAT:
                raise ValueError("of another format")
            content["conditions"] = Conditions(**content["conditions"])
            content["sizes"] = {int(side): Size(**size) for side, size in content["sizes"].items()}
            content["checked"] = tuple(content["checked"])
            return cls(**content)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"no finding: {error!r}") from error

    def chosen(self, *, forced: bool = False) -> list[int]:
        """The sides of the images that OpenVINO shall encode.

        Args:
            forced: also where it is slower.
        """
        return [side for side, size in self.sizes.items() if forced or size.is_faster]

    @property
    def times(self) -> str:
        """What was measured, for people."""
        return "; ".join(
            f"{side} px: OpenVINO {size.openvino:.3g} s, torch {size.torch:.3g} s" for side, size in self.sizes.items()
        )

    def text(self, *, forced: bool = False) -> str:
        """What is chosen, and why; one line for people."""
        if self.problem:
            return f"torch: {self.problem}"
        chosen = self.chosen(forced=forced)
        if not chosen:
            return f"torch, no slower than OpenVINO {self.conditions.openvino} here ({self.times})"
        number_type = "" if self.conditions.number_type == "float32" else f" in {self.conditions.number_type}"
        part = "" if len(chosen) == len(self.sizes) else f" for images of {chosen[0]} px"
        return f"OpenVINO {self.conditions.openvino}{number_type}{part} ({self.times})"


def _entry(text: str, names: str) -> str:
    found = re.search(rf"^(?:{names})\s*:\s*(.*)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""
