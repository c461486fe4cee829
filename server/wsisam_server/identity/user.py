"""Who a call is from."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Final

EVERY_PROJECT: Final = "*"
"""In place of a project's name: all of them, and what belongs to none."""


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
    """Whoever made a call.

    Attributes:
        name: goes into annotations and the log; empty for somebody on this machine who gave no token.
        role: what they may call.
        projects: whose annotations are theirs beside their own; may hold `EVERY_PROJECT`.
        token_id: of the token that they gave; empty for none.
    """

    name: str
    role: Role
    projects: frozenset[str] = frozenset()
    token_id: str = ""

    @property
    def sees_all(self) -> bool:
        """Whether every annotation is theirs to see."""
        return self.role is Role.ADMIN or EVERY_PROJECT in self.projects

    def author(self, claimed: str) -> str:
        """Whose a change is: the token's user, whatever the request says; without a token, what the request says."""
        return self.name or claimed


LOCAL: Final = User("", Role.ADMIN)
"""Somebody on this machine, where no token is asked for."""

_current: ContextVar[User | None] = ContextVar("wsisam_user", default=None)


def current_user() -> User:
    """Whose call the running task belongs to; outside calls, this machine's."""
    return _current.get() or LOCAL


def set_user(user: User) -> None:
    """Notes whose call the running task, and every task that it starts, belongs to."""
    _current.set(user)
