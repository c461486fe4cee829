"""Encryption: PEM files to gRPC's credentials, for the server and for clients.

What flows in: files. What flows out: credentials that are known to work, or an error that says which file does not. It
must never know who a caller is.
"""

from __future__ import annotations

import ipaddress
import ssl
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from pathlib import Path

    from wsisam_server.config import Tls


class TlsError(Exception):
    """Certificates or keys that cannot be used; the text says which and why."""


def credentials(tls: Tls) -> grpc.ServerCredentials:
    """What a server shows, and what it asks of its clients.

    Raises:
        TlsError: a file cannot be read, or key and certificate do not belong together.
    """
    chain = _pair(tls.certificate, tls.key)
    if tls.client_ca is None:
        return grpc.ssl_server_credentials([chain])
    return grpc.ssl_server_credentials([chain], _authority(tls.client_ca), require_client_auth=True)


def channel_credentials(
    ca: Path | None = None, certificate: Path | None = None, key: Path | None = None
) -> grpc.ChannelCredentials:
    """What a client trusts, and what it shows.

    Args:
        ca: certificates of the authorities that are trusted; None: those that come with gRPC, of public ones.
        certificate: the client's own, for servers that ask for one.
        key: its private key.

    Raises:
        TlsError: a file cannot be read, or key and certificate do not belong together.
    """
    if (certificate is None) != (key is None):
        raise TlsError("a client's certificate and its key come together: give both")
    own_key, own_chain = (None, None) if certificate is None or key is None else _pair(certificate, key)
    return grpc.ssl_channel_credentials(None if ca is None else _authority(ca), own_key, own_chain)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _pair(certificate: Path, key: Path) -> tuple[bytes, bytes]:
    """Key and certificates. gRPC itself would only say, of each connection, that there was no handshake."""
    own_key, chain = _read(key), _read(certificate)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise TlsError(
            f"{certificate} and {key} are no certificate and its key, in PEM and without a password: {error}"
        ) from error
    return own_key, chain


def _authority(path: Path) -> bytes:
    content = _read(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as error:
        raise TlsError(f"{path} holds no certificates in PEM: {error}") from error
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"{path} cannot be read: {error.strerror}") from error
