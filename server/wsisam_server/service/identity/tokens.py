"""The file of bearer tokens: made, listed and revoked by the administrator, read by the running server.

A file of its own and not the annotation store: a server may run without a store, a store may be shared by servers, and
its backups must not hold what opens the server. It is replaced as a whole by one rename, so that no reader sees half.

A token is 256 random bits, so that its SHA-256 reveals nothing, and needs none of the slowness that protects
passwords. Only that hash is kept; the token itself is shown when it is made, and never again.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

import filelock

from wsisam_server.core.files import belong_to_folder, write_whole
from wsisam_server.service.identity.confusables import are_confusable, mixes_scripts
from wsisam_server.service.identity.user import Role, User

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT: Final = 1

PREFIX: Final = "wsisam_"
"""By which a token is recognized where it should not be, in a repository or a chat."""

_SECONDS_FOR_LOCK: Final = 10.0
_NAME: Final = re.compile(r"\w[\w.@-]{0,63}")
_LONGEST_PROJECT: Final = 512


class TokenError(Exception):
    """The tokens cannot be read or changed; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token.

    Attributes:
        id: tells it from the others; part of the token, and no secret.
        user: whose it is.
        created: when (UTC).
        expires: from when on it is worth nothing (UTC); None for never.
        sha256: of the whole token, in hex.
    """

    id: str
    user: User
    created: datetime
    expires: datetime | None
    sha256: str

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires is not None and now >= self.expires


def digest(secret: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(secret.encode()).hexdigest()


def token_id(secret: str) -> str:
    """The id in a token; empty if it is none."""
    identity, separator, _ = secret.removeprefix(PREFIX).partition("_")
    return identity if secret.startswith(PREFIX) and separator else ""


class TokenFile:
    """The tokens in a file. Any number of processes may use it at the same time.

    Args:
        path: the file; made with the first token, readable by its owner only. What root makes is the folder's owner's:
            the server that is to read it seldom runs as root.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def tokens(self) -> list[Token]:
        """All tokens, the oldest first; none when there is no file.

        Raises:
            TokenError: the file cannot be read.
        """
        return self.read() if self.path.exists() else []

    def read(self) -> list[Token]:
        """All tokens, the oldest first.

        Raises:
            TokenError: there is no file, or it cannot be read.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TokenError(f"{self.path} cannot be read: {error}") from error
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise TokenError(f"{self.path} is of another version of wsisam; update this one")
            return [_token(entry) for entry in content["tokens"]]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise TokenError(
                f"{self.path} is damaged ({type(error).__name__}: {error}). Delete it, and make the tokens again"
            ) from error

    def create(self, name: str, role: Role, projects: frozenset[str], expires: datetime | None) -> tuple[Token, str]:
        """Makes a token.

        Returns:
            What is kept of it, and the token itself, which nobody can look up later.

        Raises:
            TokenError: the name or a project is none, the name looks like another user's, or the file cannot be
                written.
        """
        if not _NAME.fullmatch(name):
            raise TokenError(f"{name!r} is no name: give 1 to 64 letters, digits and . _ - @")
        if mixes_scripts(name):
            raise TokenError(
                f"{name!r} mixes letters of several scripts, such as Latin and Cyrillic ones, which look alike. "
                "Write it in one of them"
            )
        for project in projects:
            if not 0 < len(project) <= _LONGEST_PROJECT or not project.isprintable():
                raise TokenError(f"{project!r} is no project: give 1 to {_LONGEST_PROJECT} characters")
        identity = secrets.token_hex(4)
        secret = f"{PREFIX}{identity}_{secrets.token_urlsafe(32)}"
        created = datetime.now(timezone.utc).replace(microsecond=0)
        token = Token(identity, User(name, role, projects, identity), created, expires, digest(secret))
        with self._changing():
            before = self.tokens()
            for known in sorted({kept.user.name for kept in before}):
                if are_confusable(name, known):
                    raise TokenError(
                        f"{name!r} looks like {known!r}, who has a token, and would be another user. Choose another "
                        "name, or copy that one from: token list"
                    )
            self._write([*before, token])
        return token, secret

    def revoke(self, name_or_id: str) -> list[Token]:
        """Removes a token by its id, or all tokens of a user by their name; returns them.

        Raises:
            TokenError: there is none, or the file cannot be written.
        """
        with self._changing():
            tokens = self.tokens()
            revoked = [token for token in tokens if name_or_id in {token.id, token.user.name}]
            if not revoked:
                raise TokenError(
                    f"there is no token {name_or_id!r} in {self.path}, and nobody of that name has one; see: token list"
                )
            self._write([token for token in tokens if token not in revoked])
        return revoked

    @contextmanager
    def _changing(self) -> Iterator[None]:
        place = self.path.with_name(f"{self.path.name}.lock")
        lock = filelock.FileLock(place, timeout=_SECONDS_FOR_LOCK)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except PermissionError:
                # Root's, of a command that was run as root: it is empty, and its folder is this user's.
                place.unlink()
                lock.acquire()
            belong_to_folder(place)
        except (OSError, filelock.Timeout) as error:
            raise TokenError(f"{self.path} cannot be changed: {error}") from error
        try:
            yield
        finally:
            lock.release()

    def _write(self, tokens: list[Token]) -> None:
        content = {"format": FORMAT, "tokens": [_entry(token) for token in tokens]}
        try:
            is_new = not self.path.exists()
            write_whole(self.path, json.dumps(content, indent=1, ensure_ascii=False).encode(), mode=0o600)
            if is_new:
                belong_to_folder(self.path)
        except OSError as error:
            raise TokenError(f"{self.path} cannot be written: {error.strerror}; nothing was changed") from error


def _entry(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.user.name,
        "role": token.user.role.value,
        "projects": sorted(token.user.projects),
        "created": token.created.isoformat(),
        "expires": None if token.expires is None else token.expires.isoformat(),
        "sha256": token.sha256,
    }


def _token(entry: dict[str, Any]) -> Token:
    user = User(entry["name"], Role(entry["role"]), frozenset(entry["projects"]), entry["id"])
    expires = None if entry["expires"] is None else _time(entry["expires"])
    return Token(entry["id"], user, _time(entry["created"]), expires, entry["sha256"])


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return time
