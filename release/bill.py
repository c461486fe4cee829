"""The bill of materials of Python's packages: of all that an environment has, only what the release comes with."""

from __future__ import annotations

import json
import re
from importlib import metadata
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable


def python_bill(environment: str, version: str, extras: Iterable[str]) -> str:
    """What `pip install wsisam[EXTRAS]` brings, in the versions that this environment has, as CycloneDX.

    Args:
        environment: CycloneDX's JSON of the environment that this program runs in: the one that the tests ran in.
        version: of the release.
        extras: of the package.
    """
    bill: dict[str, Any] = json.loads(environment)
    wanted = closure("wsisam", extras) - {"wsisam"}
    bill["components"] = [one for one in bill["components"] if _plain(one["name"]) in wanted]
    missing = wanted - {_plain(one["name"]) for one in bill["components"]}
    assert not missing, f"not in the environment's bill: {sorted(missing)}"
    named = {one["bom-ref"] for one in bill["components"]}
    bill["dependencies"] = [
        one | {"dependsOn": [ref for ref in one.get("dependsOn", ()) if ref in named]}
        for one in bill.get("dependencies", ())
        if one["ref"] in named
    ]
    said = {"type": "application", "name": "wsisam", "version": version, "bom-ref": "wsisam"}
    said["licenses"] = [{"license": {"id": "Apache-2.0"}}]
    bill["metadata"]["component"] = said
    bill["dependencies"].append({"ref": "wsisam", "dependsOn": sorted(named)})
    return json.dumps(bill, indent=1) + "\n"


def closure(name: str, extras: Iterable[str] = ()) -> set[str]:
    """The names of all packages that a package of this environment needs, its own among them."""
    found: set[str] = set()
    done: set[tuple[str, frozenset[str]]] = set()
    waiting = [(name, frozenset(extras))]
    while waiting:
        package, wanted = waiting.pop()
        if (_plain(package), wanted) in done:
            continue
        done.add((_plain(package), wanted))
        found.add(_plain(package))
        for line in metadata.requires(package) or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                waiting.append((needed.name, frozenset(needed.extras)))
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
