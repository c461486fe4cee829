"""Which names models may have."""

from __future__ import annotations

import re
from typing import Final

from wsisam_model import registry
from wsisam_server.inference.weights.errors import WeightsError

BUILT_IN: Final = (registry.DEFAULT,)
"""Models that come with the program or with a package: listed always, never added or removed."""

RESERVED: Final = (*BUILT_IN, "custom")
"""Names that cannot be given: "custom" is what a server calls the model that it was started with by --sam."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}[a-z0-9]|[a-z0-9]")


def check_name(name: str) -> None:
    """Passes a name that every file system and every shell takes as it is, and that is not built in.

    Raises:
        WeightsError: another one.
    """
    if name in RESERVED:
        raise WeightsError(f"{name!r} is built in: it can be neither added nor removed")
    if not _NAME.fullmatch(name):
        raise WeightsError(
            f"{name!r} cannot be a model's name: use up to 64 small letters, digits, '.', '_' and '-', and begin and "
            "end with a letter or digit"
        )
