"""Identity room: who calls, how that is proved, and how fast each of them may send.

What flows in: bearer tokens, and the file that holds their hashes. What flows out: users with a role and projects. It
must never know of messages, of what a call does, or of annotations.
"""

from wsisam_server.service.identity.keyring import Keyring
from wsisam_server.service.identity.pace import Pace
from wsisam_server.service.identity.tokens import Token, TokenError, TokenFile
from wsisam_server.service.identity.user import EVERY_PROJECT, LOCAL, Role, User, current_user, set_user

__all__ = [
    "EVERY_PROJECT",
    "LOCAL",
    "Keyring",
    "Pace",
    "Role",
    "Token",
    "TokenError",
    "TokenFile",
    "User",
    "current_user",
    "set_user",
]
