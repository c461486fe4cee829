"""The way to a server: an address, a token and PEM files to gRPC's channel.

What flows in: HOST:PORT, a token, PEM files. What flows out: a channel that notices a dead line, shares no connection
with other channels, and reaches this machine past any proxy. It must never know what is called through it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import grpc

from wsisam_server.client.address import ServerAddress
from wsisam_server.core.settings import MIB
from wsisam_server.core.tls import channel_credentials, is_loopback

MESSAGE_BYTES: Final = 64 * MIB

KEEPALIVE_SECONDS: Final = 60
"""After so long without a byte, the client looks whether the server is still there. Servers allow one look a minute."""

KEEPALIVE_TIMEOUT_SECONDS: Final = 30
"""After so long without an answer to that look, all calls of the channel end with UNAVAILABLE."""

LONGEST_TOKEN: Final = 4096
"""Characters. Metadata of more than 8 KiB are refused by gRPC's servers, and no token is nearly as long."""


def channel_options(host: str) -> tuple[tuple[str, int], ...]:
    """The options, as gRPC names them, of a channel to a host.

    Proxies are gRPC's own business (`grpc_proxy`, `https_proxy`, `http_proxy`; `no_grpc_proxy`, `no_proxy`), but for
    this machine: a proxy cannot reach it, and "localhost" means another machine there.
    """
    options = [
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ("grpc.max_send_message_length", MESSAGE_BYTES),
        # A cut line says nothing: whoever only waits for answers would wait for ever.
        ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
        # Without this one, the core waits twice as long for the answer, whatever the one before says.
        ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        # gRPC's default of two would leave a stream unwatched on which the client has nothing more to send.
        ("grpc.http2.max_pings_without_data", 0),
        # Connections that are shared among channels are shared with forked processes, too, which break them.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if is_loopback(host):
        options.append(("grpc.enable_http_proxy", 0))
    return tuple(options)


def open_channel(
    target: str | ServerAddress,
    *,
    ca: str | Path | None = None,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
    token: str | None = None,
) -> grpc.Channel:
    """A channel to a server; it connects with the first call.

    Args:
        target: HOST:PORT, or https://HOST:PORT for an encrypted connection; see `ServerAddress.parse`.
        ca: PEM file of the certificate authorities that are trusted; given, the connection is encrypted. None: public
            ones.
        certificate: PEM file of this client's own certificate; with `key`.
        key: PEM file of its private key.
        token: who the caller is; see `can_be_sent`.

    Raises:
        TlsError: a file cannot be used.
        ValueError: `target` is no address; a token would cross the network readable for everybody; or a client's
            certificate would not be shown.
    """
    address = ServerAddress.parse(target) if isinstance(target, str) else target
    encrypted = address.tls or ca is not None
    if address.plain and encrypted:
        raise ValueError(
            f"http://{address.authority} is no address for this: it asks for no encryption, and --tls-ca for some. "
            f"Write https://{address.authority}, or leave --tls-ca out"
        )
    if not encrypted and (certificate is not None or key is not None):
        raise ValueError("a certificate is for encrypted connections: give --tls-ca, or https:// before the address")
    host, place = address.host, address.authority
    files = (None if file is None else Path(file) for file in (ca, certificate, key))
    security = channel_credentials(*files) if encrypted else None
    if token:
        if security is None:
            # gRPC sends tokens over credentials only; these are for this machine, and refuse any other.
            if not is_loopback(host):
                raise ValueError(
                    f"the token would cross the network readable for everybody: give --tls-ca, or write https://{place}"
                )
            security = grpc.local_channel_credentials()
        security = grpc.composite_channel_credentials(security, grpc.access_token_call_credentials(token))
    options = channel_options(host)
    return grpc.insecure_channel(place, options) if security is None else grpc.secure_channel(place, security, options)


def can_be_sent(token: str) -> bool:
    """Whether a token can travel at all. gRPC's metadata take printable ASCII, and would call all else INTERNAL."""
    return len(token) <= LONGEST_TOKEN and token.isascii() and token.isprintable()
