"""A server's clients for Python: its calls (`Client`), and its annotations as a store (`client.remote_store`).

What flows in: an address and domain values. What flows out: the messages of the contract, or `ServerError`. It must
never know how the server computes anything.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from wsisam_server.client.errors import FieldViolation, ForkedClientError, ServerError
from wsisam_server.client.models import is_installed
from wsisam_server.client.polygons import areas, geometry

if TYPE_CHECKING:
    from wsisam_server.client.client import BatchAnswer, Client
    from wsisam_server.client.exemplars import OnSlide
    from wsisam_server.client.outline import Outline
    from wsisam_server.client.prompts import commit, prompt
    from wsisam_server.client.slide import Slide
    from wsisam_server.client.statuses import server_error, status_error

__all__ = [
    "BatchAnswer",
    "Client",
    "FieldViolation",
    "ForkedClientError",
    "OnSlide",
    "Outline",
    "ServerError",
    "Slide",
    "areas",
    "commit",
    "geometry",
    "is_installed",
    "prompt",
    "server_error",
    "status_error",
]

_LATER: Final = {
    "BatchAnswer": "client",
    "Client": "client",
    "OnSlide": "exemplars",
    "Outline": "outline",
    "Slide": "slide",
    "commit": "prompts",
    "prompt": "prompts",
    "server_error": "statuses",
    "status_error": "statuses",
}
"""Imported when first used, because a command's help must wait neither for gRPC nor for the formats of files."""


def __getattr__(name: str) -> Any:
    """Imports what takes time.

    Raises:
        AttributeError: there is no such name.
    """
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
