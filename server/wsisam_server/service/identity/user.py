"""Who a call is from."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

EVERY_PROJECT: Final = "*"
"""In place of a project's name: all of them, and what belongs to none."""

THROUGH: Final = ("qupath", "replay")
"""What an author's name may begin with, before a colon: through what a change was made, if not by hand."""


class Role(Enum):
    """What a user is there for; the values are written in files and shown to people."""

    READER = "reader"
    """Sees annotations; neither asks for outlines nor changes anything."""
    ANNOTATOR = "annotator"
    """Works on slides, and on annotations of their own and of their projects."""
    ADMIN = "admin"
    """Sees and changes the annotations of all."""


@dataclass(frozen=True, slots=True)
class User:
    """The maker of a call.

    Attributes:
        name: goes into annotations and the log; empty for a local caller without a token.
        role: what they may call.
        projects: whose annotations are theirs beside their own; may hold `EVERY_PROJECT`.
        token_id: of the token that they gave; empty for none.
        peer: where they call from, for those without a name; empty where nobody calls.
    """

    name: str
    role: Role
    projects: frozenset[str] = frozenset()
    token_id: str = ""
    peer: str = field(default="", compare=False)

    @property
    def principal(self) -> str:
        """Whose share of the server a call takes: the user's; without a token, that of where it comes from."""
        return self.name or self.peer

    @property
    def sees_all(self) -> bool:
        """Whether every annotation is theirs to see."""
        return self.role is Role.ADMIN or EVERY_PROJECT in self.projects

    @property
    def authors(self) -> frozenset[str]:
        """All names that `author` may give this user's changes."""
        return frozenset({self.name, *(f"{means}:{self.name}" for means in THROUGH)})

    def author(self, claimed: str) -> str:
        """Whose a change is: the token's user, whatever the request says; without a token, what the request says.

        Through what it was made is the request's to say: `qupath:osuser` becomes `qupath:` and the token's user.
        """
        if not self.name:
            return claimed
        means, colon, _ = claimed.partition(":")
        return f"{means}:{self.name}" if colon and means in THROUGH else self.name


LOCAL: Final = User("", Role.ADMIN)
"""A local caller, where no token is required."""

_current: ContextVar[User | None] = ContextVar("wsisam_user", default=None)


def current_user() -> User:
    """Whose call the running task belongs to; outside calls, this machine's."""
    return _current.get() or LOCAL


def set_user(user: User) -> None:
    """Notes whose call the running task, and every task that it starts, belongs to."""
    _current.set(user)
