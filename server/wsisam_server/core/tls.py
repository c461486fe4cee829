"""Encryption: PEM files to gRPC's credentials, for the server and for clients.

In: files. Out: credentials that are known to work, or an error that says which file does not. It
must never know who a caller is.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import ssl
import threading
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from wsisam_server.core.certificates import expiry

if TYPE_CHECKING:
    from pathlib import Path

    import grpc

    from wsisam_server.core.settings import Tls


_log = logging.getLogger(__name__)


class TlsError(Exception):
    """Certificates or keys that cannot be used; the text says which and why."""


WARNED_BEFORE: Final = timedelta(days=30)
"""From then on the log says when the certificate ends. Authorities of hospitals may take weeks."""


class ServerTls:
    """What a server shows, and what it asks of its clients. New connections are shown what the files hold then.

    Args:
        tls: the files.

    Raises:
        TlsError: a file cannot be read, key and certificate do not belong together, or the certificate has expired.
    """

    def __init__(self, tls: Tls) -> None:
        self._files = _Files(tls)
        self._asks = tls.client_ca is not None

    @property
    def expiry(self) -> datetime | None:
        """When the certificate that is shown ends (UTC); None where it does not say."""
        return self._files.expiry

    def expiry_seconds(self) -> float:
        """The same as Unix time; not a number where there is none."""
        return math.nan if self.expiry is None else self.expiry.timestamp()

    def credentials(self) -> grpc.ServerCredentials:
        """For the server's port."""
        import grpc  # noqa: PLC0415 - the other functions are for commands that may never connect

        files = self._files
        return grpc.dynamic_ssl_server_credentials(
            files.current(), files.current, require_client_authentication=self._asks
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
        self._warned: date | None = None
        self._warn()

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
                    self._seen, self._failed, self._warned = signatures, None, None
                    _log.info("the certificate %s was renewed", self._tls.certificate)
            self._warn()
            return self._shown

    @property
    def expiry(self) -> datetime | None:
        """When the certificate that is shown ends (UTC)."""
        return self._expiry

    def _warn(self) -> None:
        """Once a day in the last weeks, also of a server that is never restarted."""
        now = datetime.now(timezone.utc)
        if self._expiry is None or self._expiry - now > WARNED_BEFORE or self._warned == now.date():
            return
        self._warned = now.date()
        _log.warning(
            "the certificate %s %s %s: put a new one there, which needs no restart",
            self._tls.certificate,
            "expires on" if self._expiry > now else "HAS EXPIRED on",
            f"{self._expiry:%Y-%m-%d %H:%M} UTC",
        )

    def _read(self) -> grpc.ServerCertificateConfiguration:
        import grpc  # noqa: PLC0415

        chain = _pair(self._tls.certificate, self._tls.key)
        self._expiry = _expiry(chain[1])
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
    end = _expiry(chain)
    if end is not None and end <= datetime.now(timezone.utc):
        raise TlsError(
            f"{certificate} has expired ({end:%Y-%m-%d %H:%M} UTC): no client accepts it. Put a new one there"
        )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except FileNotFoundError as error:  # replaced since it was read
        raise TlsError(f"{certificate} or {key} cannot be read: {error.strerror}") from error
    except (ssl.SSLError, OSError, ValueError) as error:
        raise TlsError(
            f"{certificate} and {key} are no certificate and its key, in PEM and without a password: {error}"
        ) from error
    return own_key, chain


def _expiry(chain: bytes) -> datetime | None:
    """None of what no certificate is in, about which others say more."""
    try:
        return expiry(chain)
    except ValueError:
        return None


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
