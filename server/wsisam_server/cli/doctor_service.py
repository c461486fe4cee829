"""What `wsisam doctor` looks at with a server's settings: what keeps `wsisam serve` from starting, or people out."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from wsisam_server.cli.ports import why_not
from wsisam_server.client.address import ServerAddress
from wsisam_server.core.settings import NONE
from wsisam_server.core.tls import WARNED_BEFORE, ServerTls, TlsError, is_loopback

if TYPE_CHECKING:
    from wsisam_server.core.settings import Settings

Finding = tuple[bool, str]


def slides(settings: Settings) -> list[Finding]:
    """The folders of slides."""
    if not settings.slides:
        return [(True, "no folder is set: clients send pixels")]
    return [_folder(folder) for folder in settings.slides]


def _folder(folder: Path) -> Finding:
    if not folder.is_dir():
        return False, f"there is no folder {folder}; serve would not start"
    if not os.access(folder, os.R_OK | os.X_OK):
        return False, f"{folder} may not be read by you; let the server's user read it"
    return True, str(folder)


def encryption(settings: Settings) -> list[Finding]:
    """The certificate, and whether the address needs one."""
    if settings.tls is None:
        if is_loopback(settings.host):
            return [(True, "none, which this machine's own address does not need")]
        if settings.insecure:
            return [(True, "none (insecure): everybody who reaches the address may do everything")]
        return [(False, f"{settings.host} needs a certificate: set [tls] certificate and key; serve would not start")]
    try:
        end = ServerTls(settings.tls).expiry
    except TlsError as error:
        return [(False, f"{error}; serve would not start")]
    if end is None:
        return [(True, str(settings.tls.certificate))]
    soon = end - datetime.now(timezone.utc) < WARNED_BEFORE
    text = f"{settings.tls.certificate} is valid until {end:%Y-%m-%d %H:%M} UTC"
    return [(not soon, f"{text}; have a new one issued, and put it in its place" if soon else text)]


def tokens(settings: Settings) -> list[Finding]:
    """Who is let in."""
    from wsisam_server.service.identity import TokenError, TokenFile

    required = settings.require_tokens or not (is_loopback(settings.host) or settings.insecure)
    if settings.tokens is None:
        return [(not required, "there is no file of tokens")]
    try:
        known = TokenFile(settings.tokens).tokens()
    except (TokenError, OSError) as error:
        return [(False, f"{error}; nobody is let in")]
    if known:
        return [(True, f"{len(known)} in {settings.tokens}")]
    text = f"none yet in {settings.tokens}"
    return [(not required, f"{text}; nobody is let in. Make one: wsisam token create NAME" if required else text)]


def store(settings: Settings) -> list[Finding]:
    """The store."""
    from wsisam_server.annotations.store import StoreError, open_store, store_name

    where = settings.store
    if where == NONE:
        return [(True, "kept nowhere (the store is none)")]
    if "://" not in where and not Path(where).exists():
        above = next(folder for folder in Path(where).absolute().parents if folder.exists())
        if not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
            return [(False, f"{where} cannot be made: {above} may not be written by you; serve would not start")]
        return [(True, f"none yet; 'wsisam serve' will keep them in {where}")]
    try:
        with open_store(where) as place:
            return [(True, f"{store_name(where)}, {place.head()} revisions")]
    except StoreError as error:
        return [(False, str(error))]


def metrics(settings: Settings) -> list[Finding]:
    """The port for Prometheus."""
    if settings.metrics_port is None:
        return [(True, "none")]
    problem = why_not(settings.metrics_host, settings.metrics_port, "--metrics-port")
    return [(not problem, problem or f"{ServerAddress(settings.metrics_host, settings.metrics_port)} is free")]
