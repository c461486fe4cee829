"""Where a server listens: what people write, read the same way by every command and as QuPath's client reads it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

DEFAULT_PORT: Final = 8765
"""The port of `wsisam serve` unless another is configured."""

_LAST_PORT: Final = 65535
_FORM: Final = re.compile(
    r"(?:(?P<scheme>https?)://)?(?:\[(?P<six>[0-9a-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[^\s:/?#@\[\]]+))(?::(?P<port>[0-9]*))?/?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server listens; `str` gives it as a user writes it.

    Attributes:
        host: name or address; an IPv6 address without brackets.
        port: 1 to 65535.
        tls: whether the address asks for encryption (https://).
        plain: whether it asks for none (http://).
    """

    host: str
    port: int = DEFAULT_PORT
    tls: bool = False
    plain: bool = False

    @classmethod
    def parse(cls, text: str, port: int = DEFAULT_PORT) -> ServerAddress:
        """Reads what a user wrote.

        Args:
            text: host, host:port or [::1]:port, with http:// (plain) or https:// (encrypted) before it if wanted.
            port: where the text names none.

        Raises:
            ValueError: it is no such address; the text says how to write one.
        """
        given = text.strip()
        found = _FORM.fullmatch(given)
        port = port if found is None or not found["port"] else int(found["port"])
        if found is None or not 1 <= port <= _LAST_PORT:
            raise ValueError(_problem(given))
        scheme = (found["scheme"] or "").lower()
        return cls(found["six"] or found["host"], port, tls=scheme == "https", plain=scheme == "http")

    @property
    def authority(self) -> str:
        """Host and port, as gRPC takes them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        """As a user writes it."""
        return f"https://{self.authority}" if self.tls else self.authority


def _problem(given: str) -> str:
    if _is_ipv6(given.rpartition("://")[2].rstrip("/")):
        example = ServerAddress("::1").authority
        return f"{given!r} is no address for this: an IPv6 address is written in brackets, for example {example}"
    return f"{given!r} is no address for this: write HOST:PORT, or https://HOST:PORT to encrypt"


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6  # noqa: PLR2004
    except ValueError:
        return False
