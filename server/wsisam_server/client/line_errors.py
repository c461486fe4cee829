"""What gRPC says of a line that cannot be had, in words that say what to do.

gRPC tells the cause in a text only, and no two causes by their status. Texts that are not known stay as they are.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from wsisam_server.core.tls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_server.client.address import ServerAddress

_PROXIES: Final = ("grpc_proxy", "https_proxy", "http_proxy")
_WITHOUT: Final = ("no_grpc_proxy", "no_proxy")

_NOT_OURS: Final = re.compile(
    "Failed parsing HTTP/2|http1|Received http2 header with status|invalid content-type|HTTP status code", re.IGNORECASE
)


def in_words(address: ServerAddress, status: str, text: str) -> str:
    """What failed between here and a server, and what to do.

    Args:
        address: of the server; `tls` if the connection is encrypted.
        status: name of the gRPC status that came without a reason of ours.
        text: what gRPC says.
    """
    if _NOT_OURS.search(text):
        return f"What answers at {address} is no wsisam server. Check the address and the port."
    if status == "UNIMPLEMENTED":
        return (
            f"The server at {address} does not know this call: it is older than this client, or no wsisam server. "
            "Update it (wsisam --version shows what it is)."
        )
    if status == "DEADLINE_EXCEEDED":
        return f"The server at {address} did not answer in time. It may be busy, or the network slow; try again."
    if status != "UNAVAILABLE":
        return text
    return next((say(address) for pattern, say in _CAUSES if pattern.search(text)), None) or (
        f"The connection to {address} was lost: {text}"
    )


def _expired(address: ServerAddress) -> str:
    return (
        f"No encrypted connection to {address}: the server's certificate has expired. Tell the administrator, who "
        "renews it without a restart. If it has not, this computer's clock is wrong."
    )


def _not_yet(address: ServerAddress) -> str:
    return (
        f"No encrypted connection to {address}: the server's certificate is not valid yet. Check this computer's "
        "clock; if it is right, tell the administrator."
    )


def _another_name(address: ServerAddress) -> str:
    return (
        f"No encrypted connection to {address}: the server's certificate is for another name than '{address.host}'. "
        "Use a name that is in it (subjectAltName), or have the administrator issue one with this name."
    )


def _not_trusted(address: ServerAddress) -> str:
    return (
        f"No encrypted connection to {address}: the server's certificate is of no authority that is trusted here. Name "
        "the file of the lab's certificate authority (--tls-ca; in Python ca=...)."
    )


def _not_encrypted_there(address: ServerAddress) -> str:
    return (
        f"No encrypted connection to {address}: what answers there does not encrypt (TLS). Leave out https:// and the "
        "authority (--tls-ca) if the server is meant to be so, or check the port."
    )


def _other_tls(address: ServerAddress) -> str:
    return (
        f"No encrypted connection to {address}: the two sides could not agree (TLS handshake). Check that the server "
        "encrypts, and whether it asks for a certificate of yours (--tls-cert, --tls-key)."
    )


def _closed(address: ServerAddress) -> str:
    if address.tls:
        return (
            f"The server at {address} closed the connection at once. It may ask for a certificate of yours "
            "(--tls-cert, --tls-key)."
        )
    return (
        f"What listens at {address} closed the connection at once: it may be a server that encrypts (TLS). Then write "
        f"https://{address.authority} or give --tls-ca."
    )


def _no_such_name(address: ServerAddress) -> str:
    return f"No computer named '{address.host}' is known here. Check the address, and the network (DNS, VPN)."


def _by_a_proxy(address: ServerAddress) -> str:
    return (
        f"The proxy of this computer's environment ({_proxy(address.host) or 'http_proxy'}) did not connect to "
        f"{address}. A server in the lab's own network belongs into no_proxy."
    )


def _nobody(address: ServerAddress) -> str:
    proxy = _proxy(address.host)
    if proxy:
        return (
            f"No server answers at {address}, or the proxy of this computer's environment ({proxy}) does not. A server "
            "in the lab's own network belongs into no_proxy."
        )
    return f"No server answers at {address}: is 'wsisam serve' running there? If so, check the port and the firewall."


_CAUSES: Final[tuple[tuple[re.Pattern[str], Callable[[ServerAddress], str]], ...]] = (
    (re.compile("certificate has expired"), _expired),
    (re.compile("certificate is not yet valid"), _not_yet),
    (re.compile("Hostname Verification Check failed"), _another_name),
    (re.compile("CERTIFICATE_VERIFY_FAILED"), _not_trusted),
    (re.compile("WRONG_VERSION_NUMBER"), _not_encrypted_there),
    (re.compile("handshake failed|SSL_ERROR", re.IGNORECASE), _other_tls),
    (re.compile("HTTP proxy|HTTP CONNECT|proxy handshake", re.IGNORECASE), _by_a_proxy),
    (re.compile("errors resolving|DNS resolution failed|lookup failed|Domain name not found"), _no_such_name),
    (
        re.compile("failed to connect to all addresses.*: (?:Socket closed|Connection reset|recvmsg)", re.DOTALL),
        _closed,
    ),
    (re.compile("failed to connect to all addresses", re.DOTALL), _nobody),
)
"""What gRPC's text has in it, the more special first."""


def _proxy(host: str) -> str:
    """The variable that names the proxy on the way to a host, by gRPC's rules; empty for none."""
    if is_loopback(host):
        return ""
    without = next((value for name in _WITHOUT if (value := os.environ.get(name))), "")
    if any(end.strip() and host.endswith(end.strip()) for end in without.split(",")):
        return ""
    return next((name for name in _PROXIES if os.environ.get(name)), "")
