"""Until when a certificate is valid, read from its PEM: as much of X.509 as that takes.

Python's own `ssl` tells it of authorities only, and of a server's certificate to those who connect to it.
"""

from __future__ import annotations

import re
import ssl
from datetime import datetime, timezone
from typing import Final

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_UTC_TIME: Final = 0x17
_VERSION: Final = 0xA0
_LONG_FORM: Final = 0x80


def expiry(pem: bytes) -> datetime:
    """When the first certificate of a chain to end ends (UTC).

    Args:
        pem: certificates, with anything between them.

    Raises:
        ValueError: it holds none that can be read.
    """
    chain = _PEM.findall(pem.decode("latin-1"))
    if not chain:
        raise ValueError("no certificate")
    try:
        return min(_not_after(ssl.PEM_cert_to_DER_cert(one)) for one in chain)
    except IndexError as error:
        raise ValueError("a certificate is cut off") from error


def _not_after(der: bytes) -> datetime:
    """Certificate -> tbsCertificate -> [version], serial, algorithm, issuer, validity -> notBefore, notAfter."""
    _, certificate, _ = _element(der)
    _, rest, _ = _element(certificate)
    if rest[0] == _VERSION:
        rest = _element(rest)[2]
    for _ in ("serial", "algorithm", "issuer"):
        rest = _element(rest)[2]
    validity = _element(rest)[1]
    kind, text, _ = _element(_element(validity)[2])
    form = "%y%m%d%H%M%SZ" if kind == _UTC_TIME else "%Y%m%d%H%M%SZ"  # years from 2050 on are written in full
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=timezone.utc)


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """The first element of DER: its kind, its content, and what follows it."""
    kind, length, start = data[0], data[1], 2
    if length & _LONG_FORM:
        count = length & ~_LONG_FORM
        start += count
        length = int.from_bytes(data[2:start], "big")
    return kind, data[start : start + length], data[start + length :]
