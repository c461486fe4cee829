"""Encryption: PEM files to gRPC's credentials, for the server and for clients.

In: files. Out: credentials that are known to work, or an error that says which file does not. It
must never know who a caller is.
"""

from __future__ import annotations

import ipaddress
import logging
import ssl
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import grpc

    from wsisam_server.core.settings import Tls


_log = logging.getLogger(__name__)


class TlsError(Exception):
    """Certificates or keys that cannot be used; the text says which and why."""


def credentials(tls: Tls) -> grpc.ServerCredentials:
    """What a server shows, and what it asks of its clients. New connections are shown what the files hold then.

    Raises:
        TlsError: a file cannot be read, or key and certificate do not belong together.
    """
    import grpc  # noqa: PLC0415 - the other functions are for commands that may never connect

    files = _Files(tls)
    return grpc.dynamic_ssl_server_credentials(
        files.current(), files.current, require_client_authentication=tls.client_ca is not None
    )


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
    import grpc  # noqa: PLC0415

    if (certificate is None) != (key is None):
        raise TlsError("a client's certificate and its key come together: give both")
    own_key, own_chain = (None, None) if certificate is None or key is None else _pair(certificate, key)
    return grpc.ssl_channel_credentials(None if ca is None else _authority(ca), own_key, own_chain)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address: localhost, 127.0.0.0/8, ::1."""
    if host.lower().removesuffix(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # Python before 3.13 does not look into IPv4 addresses that are written as IPv6 ones.
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address.is_loopback or (inner is not None and inner.is_loopback)


class _Files:
    """A server's files, read again after they have changed. From any thread."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._lock = threading.Lock()
        # Stamps are taken before the files are read: what is written in between is seen at the next look.
        self._seen = self._signatures()
        self._shown = self._read()
        self._failed: tuple[tuple[int, ...], ...] | None = None

    def current(self) -> grpc.ServerCertificateConfiguration:
        """What the files hold; while that cannot be used, what they held before. gRPC asks before each handshake."""
        with self._lock:
            signatures = self._signatures()
            if signatures != self._seen:
                try:
                    self._shown = self._read()
                except TlsError as error:
                    # Not remembered as seen: what a copy or a virus scanner holds now can be read the next time.
                    if signatures != self._failed:
                        self._failed = signatures
                        _log.error("the certificate was not renewed, and the one before stays in use: %s", error)
                else:
                    self._seen, self._failed = signatures, None
                    _log.info("the certificate %s was renewed", self._tls.certificate)
            return self._shown

    def _read(self) -> grpc.ServerCertificateConfiguration:
        import grpc  # noqa: PLC0415

        chain = _pair(self._tls.certificate, self._tls.key)
        authority = None if self._tls.client_ca is None else _authority(self._tls.client_ca)
        return grpc.ssl_server_certificate_configuration([chain], authority)

    def _signatures(self) -> tuple[tuple[int, ...], ...]:
        files = (self._tls.certificate, self._tls.key, self._tls.client_ca)
        return tuple(_signature(path) for path in files if path is not None)


def _signature(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _pair(certificate: Path, key: Path) -> tuple[bytes, bytes]:
    """Key and certificates. gRPC itself would only say, of each connection, that there was no handshake."""
    own_key, chain = _read(key), _read(certificate)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except FileNotFoundError as error:  # replaced since it was read
        raise TlsError(f"{certificate} or {key} cannot be read: {error.strerror}") from error
    except (ssl.SSLError, OSError, ValueError) as error:
        raise TlsError(
            f"{certificate} and {key} are no certificate and its key, in PEM and without a password: {error}"
        ) from error
    return own_key, chain


def _authority(path: Path) -> bytes:
    content = _read(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        raise TlsError(f"{path} holds no certificates in PEM: {error}") from error
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"{path} cannot be read: {error.strerror}") from error
