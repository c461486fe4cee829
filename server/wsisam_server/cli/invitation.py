"""An invitation: one file with all that QuPath needs to reach a server as one user.

The token in it is what counts: whoever has the file is that user, until the token ends or is revoked.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

FORMAT: Final = 1
"""Of the file; the client for QuPath reads this one."""

_PEM: Final = "-----BEGIN CERTIFICATE-----"


@contextmanager
def reserved(path: Path) -> Iterator[None]:
    """Makes the file before the token is made, for its owner alone; takes it away again when there is none.

    Raises:
        click.ClickException: it is there already, or cannot be made.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise click.ClickException(f"{path} is there already: remove it, or name another file") from None
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror or error}") from error
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def certificates_in(path: Path | None) -> str:
    """The certificates of a PEM file, and nothing else of it: a key must never travel.

    Raises:
        click.UsageError: there is none in it.
    """
    if path is None:
        return ""
    kept: list[str] = []
    inside = False
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        inside = inside or line.strip() == _PEM
        if inside:
            kept.append(line.strip())
        inside = inside and "END CERTIFICATE" not in line
    if not kept:
        raise click.UsageError(f"there is no certificate (PEM) in {path}")
    return "\n".join(kept) + "\n"


def write(path: Path, *, server: str, user: str, token: str, expires: datetime | None, certificates: str) -> None:
    """Fills a reserved file.

    Raises:
        click.ClickException: the disk is full.
    """
    content = {
        "wsisam_invitation": FORMAT,
        "server": server,
        "user": user,
        "token": token,
        "expires": None if expires is None else expires.isoformat(),
        "certificates": certificates,
    }
    try:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(
            f"cannot write {path}: {error.strerror or error}. A token for {user} was made: revoke it"
        ) from error
