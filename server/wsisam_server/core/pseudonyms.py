"""Stable replacements for names that identify people or places: HMAC-SHA256 with a secret salt.

The same name gets the same replacement wherever the same salt is used. Without the salt nobody can compute them, so a
list of likely names does not help to guess one back.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import uuid
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

SALT_BYTES: Final = 32
"""Of a salt that is made here; a given one has at least as many characters."""

_DIGITS: Final = 16


class SaltError(Exception):
    """A salt cannot be read or made; the text says why and what to do."""


class Pseudonyms:
    """Replacements by one salt.

    Args:
        salt: the secret; a new one, forgotten with this process, if not given.
    """

    def __init__(self, salt: bytes | None = None) -> None:
        self._salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt

    def of(self, kind: str, text: str) -> str:
        """The replacement: the kind, a hyphen and 16 hexadecimal digits. Of an empty text, an empty one.

        Args:
            kind: what is replaced, for example "author". The same text of another kind has another replacement.
            text: what identifies.
        """
        return f"{kind}-{self._digest(kind, text).hex()[:_DIGITS]}" if text else ""

    def uuid(self, one: uuid.UUID) -> uuid.UUID:
        """The replacement of a UUID that was made of something: in the form of a random one."""
        return uuid.UUID(bytes=self._digest("uuid", str(one))[:16], version=4)

    def _digest(self, kind: str, text: str) -> bytes:
        said = f"{kind}\0{text}".encode(errors="surrogatepass")
        return hmac.new(self._salt, said, hashlib.sha256).digest()

    @property
    def salt_id(self) -> str:
        """Tells salts apart, and says nothing of them."""
        return self.of("salt", "id")


def read_salt(path: Path) -> bytes:
    """The salt in a file; where there is none, a new one is written, for its owner's eyes only.

    Raises:
        SaltError: it cannot be read or written, or is too short to be a secret.
    """
    try:
        try:
            salt = path.read_bytes().strip()
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            salt = secrets.token_hex(SALT_BYTES).encode()
            # Never over one that another process has just made.
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(salt + b"\n")
    except OSError as error:
        raise SaltError(f"the salt {path} cannot be read or made: {error.strerror or error}") from error
    if len(salt) < SALT_BYTES:
        raise SaltError(
            f"the salt {path} has {len(salt)} characters, and a secret has {SALT_BYTES} or more. Name another file: "
            "one that is not there is made"
        )
    return salt
