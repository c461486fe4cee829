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
from wsisam_server.client.slide import Slide

if TYPE_CHECKING:
    from wsisam_server.client.client import BatchAnswer, Client
    from wsisam_server.client.exemplars import OnSlide
    from wsisam_server.client.statuses import server_error, status_error

__all__ = [
    "BatchAnswer",
    "Client",
    "FieldViolation",
    "ForkedClientError",
    "OnSlide",
    "ServerError",
    "Slide",
    "areas",
    "geometry",
    "is_installed",
    "server_error",
    "status_error",
]

_WITH_GRPC: Final = {
    "BatchAnswer": "client",
    "Client": "client",
    "OnSlide": "exemplars",
    "server_error": "statuses",
    "status_error": "statuses",
}
"""Imported when first used, because a command's help must not wait for gRPC."""


def __getattr__(name: str) -> Any:
    """Imports what needs gRPC.

    Raises:
        AttributeError: there is no such name.
    """
    if name not in _WITH_GRPC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WITH_GRPC[name]}"), name)
