"""The tokens of a running server, always as the file has them now."""

from __future__ import annotations

import hmac
import logging
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.identity import tokens
from wsisam_server.service.identity.tokens import Token, TokenError, TokenFile

if TYPE_CHECKING:
    from pathlib import Path

    from wsisam_server.service.identity.user import User

_log = logging.getLogger(__name__)

StatSignature = tuple[int, int, int, int]

_UNREAD: Final = (0, 0, 0, 0)
"""The signature of no file: after a failure, the file is read again."""

_NOBODYS: Final = "0" * 64
"""Compared with when no token has the id, so that this takes as long as when one has."""


class Keyring:
    """Looks tokens up. Used from one event loop.

    Each lookup checks the file's stat signature, and reads a replaced file. Nobody needs to notify the server. If the
    file disappears or cannot be read, nobody is admitted until it can.

    Args:
        path: the file of tokens; there need be none yet.
    """

    def __init__(self, path: Path) -> None:
        self._file = TokenFile(path)
        self._signature: StatSignature | None = None
        self._tokens: dict[str, Token] = {}
        self._trouble = ""

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
        """Passes the id of a valid token.

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
        """Reads the file if it was replaced.

        A failure is never remembered: a file that is being replaced, or that a virus scanner holds, is whole the next
        time.

        Raises:
            WsiSamServerError: TOKENS_UNAVAILABLE: it cannot be read, or there is none any more.
        """
        try:
            signature = self._found()
            if signature != self._signature:
                self._tokens = {token.id: token for token in self._file.read()}
                self._signature = signature
        except (OSError, TokenError) as error:
            # No tokens of the file before: one may be revoked in the file that cannot be read.
            self._tokens, self._signature = {}, _UNREAD
            self._say(str(error))
            raise WsiSamServerError(Reason.TOKENS_UNAVAILABLE, private=str(error)) from error
        self._say("")

    def _found(self) -> StatSignature | None:
        try:
            found = self._file.path.stat()
        except FileNotFoundError:
            if self._signature is not None:
                raise
            return None  # no token was made yet
        return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size

    def _say(self, trouble: str) -> None:
        """Logs each problem once: calls are many."""
        if trouble and trouble != self._trouble:
            _log.error("nobody is admitted, because the tokens cannot be read: %s", trouble)
        elif self._trouble and not trouble:
            _log.warning("the tokens can be read again")
        self._trouble = trouble
