"""Identity room: users, their tokens, and rate limits.

In: bearer tokens, and the file that holds their hashes. Out: users with a role and projects. It
must never know of messages, of what a call does, or of annotations.
"""

from wsisam_server.service.identity.keyring import Keyring
from wsisam_server.service.identity.rate_limiter import RateLimiter
from wsisam_server.service.identity.tokens import Token, TokenError, TokenFile
from wsisam_server.service.identity.user import EVERY_PROJECT, LOCAL, Role, User, current_user, set_user

__all__ = [
    "EVERY_PROJECT",
    "LOCAL",
    "Keyring",
    "RateLimiter",
    "Role",
    "Token",
    "TokenError",
    "TokenFile",
    "User",
    "current_user",
    "set_user",
]
