"""The tokens as a running server knows them: always as the file has them now."""

from __future__ import annotations

import hmac
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.identity import tokens
from wsisam_server.identity.tokens import Token, TokenError, TokenFile

if TYPE_CHECKING:
    from pathlib import Path

    from wsisam_server.identity.user import User

Stamp = tuple[int, int, int, int]

_NOBODYS: Final = "0" * 64
"""Compared with when no token has the id, so that this takes as long as when one has."""


class Keyring:
    """Who has which token. Used from one event loop.

    The file is looked at with each question and read when it was replaced; there is nothing to be told.

    Args:
        path: the file of tokens; there need be none yet.
    """

    def __init__(self, path: Path) -> None:
        self._file = TokenFile(path)
        self._stamp: Stamp | None = None
        self._tokens: dict[str, Token] = {}
        self._trouble: TokenError | None = None

    def user(self, secret: str) -> User:
        """Whose token this is.

        Raises:
            WsiSamServerError: TOKEN_INVALID, TOKEN_EXPIRED or TOKENS_UNAVAILABLE.
        """
        self._look()
        token = self._tokens.get(tokens.token_id(secret))
        kept = _NOBODYS if token is None else token.sha256
        if not hmac.compare_digest(tokens.digest(secret), kept) or token is None:
            raise WsiSamServerError(Reason.TOKEN_INVALID)
        self.check(token.id)
        return token.user

    def check(self, token_id: str) -> None:
        """Passes the id of a token that is still good.

        Raises:
            WsiSamServerError: TOKEN_INVALID: it was revoked; TOKEN_EXPIRED; TOKENS_UNAVAILABLE.
        """
        self._look()
        token = self._tokens.get(token_id)
        if token is None:
            raise WsiSamServerError(Reason.TOKEN_INVALID)
        if token.expired(datetime.now(timezone.utc)):
            raise WsiSamServerError(Reason.TOKEN_EXPIRED)

    def _look(self) -> None:
        try:
            found = self._file.path.stat()
            stamp: Stamp | None = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
        except FileNotFoundError:
            stamp = None
        except OSError as error:
            raise WsiSamServerError(Reason.TOKENS_UNAVAILABLE, private=str(error)) from error
        if stamp != self._stamp or stamp is None:
            try:
                self._tokens = {token.id: token for token in self._file.tokens()}
                self._trouble = None
            except TokenError as error:
                self._tokens, self._trouble = {}, error
            self._stamp = stamp
        if self._trouble is not None:
            raise WsiSamServerError(Reason.TOKENS_UNAVAILABLE, private=str(self._trouble))
