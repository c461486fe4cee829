"""A server's clients for Python: its calls (`Client`), and its annotations as a store (`client.remote_store`).

What flows in: an address and domain values. What flows out: the messages of the contract, or `ServerError`. It must
never know how the server computes anything.
"""

from wsisam_server.client.client import (
    BatchAnswer,
    Client,
    ForkedClientError,
    ServerError,
    areas,
    geometry,
    item_error,
    server_error,
)

__all__ = [
    "BatchAnswer",
    "Client",
    "ForkedClientError",
    "ServerError",
    "areas",
    "geometry",
    "item_error",
    "server_error",
]
