"""Checks that a Ray cluster answers at the configured address. Ray itself would wait without end."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc

from wsisam_server.inference.cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT_SECONDS: Final = 5.0
"""How long a cluster's head may take to accept a connection, and as long again to say that it is one."""

JOIN_SECONDS: Final = 60.0
"""How long Ray may take to join a cluster that has answered; it takes seconds."""

_ALIVE: Final = "/ray.rpc.NodeInfoGcsService/CheckAlive"
"""The method with which `ray health-check` asks a head."""

_NOBODY: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


def check_head(address: str) -> None:
    """Passes the address of a cluster's head that answers. Blocks for up to ten seconds.

    Args:
        address: HOST:PORT, or auto for the cluster that this machine is in.

    Raises:
        ClusterError: nothing listens there, or something else than Ray.
    """
    place = _place(address) if address == "auto" else address.rpartition("://")[2]
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal():
        return  # Ray knows other forms, and says what is wrong with them
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise ClusterError(
            f"no Ray cluster at {place}: nothing answers there ({error.strerror or error}). Start one ('ray start "
            "--head --port=6379'), or correct the address (--ray-address)"
        ) from error
    if os.environ.get("RAY_USE_TLS", "").lower() in {"1", "true"}:
        return  # it would not answer without a certificate
    # As Ray does it: its nodes are never reached through a proxy.
    options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
    with grpc.insecure_channel(place, options) as channel:
        try:
            channel.unary_unary(_ALIVE)(b"", timeout=CONNECT_SECONDS)
        except grpc.RpcError as error:
            if error.code() in _NOBODY or error.code() is grpc.StatusCode.UNIMPLEMENTED:
                raise ClusterError(
                    f"no Ray cluster at {place}: something else answers there, or a head that hangs. Give the head's "
                    "address (--ray-address HOST:6379; 'ray status' on the head says whether it works)"
                ) from error


def within(seconds: float, call: Callable[[], object]) -> None:
    """Runs a call that may hang; then it is left alone on its thread.

    Raises:
        TimeoutError: it took longer.
        Exception: whatever `call` raises.
    """
    failed: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    thread = threading.Thread(target=run, name="wsisam-join", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer in {seconds:g} s")
    if failed:
        raise failed[0]


def _place(address: str) -> str:
    """The address that Ray itself would use for auto; "auto" where that is not known."""
    named = os.environ.get("RAY_ADDRESS")
    if named:
        return named.rpartition("://")[2]
    try:
        return (
            (Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir())) / "ray" / "ray_current_cluster")
            .read_text()
            .strip()
        )
    except OSError:
        return address
