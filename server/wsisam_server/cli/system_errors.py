"""What the system refuses, in words: files of others, full disks, users without a home. Others' errors are bugs."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAYS: Final = {
    errno.ENOSPC: "the disk is full. Make room and run this again",
    errno.EDQUOT: "your quota of the disk is used up. Make room and run this again",
    errno.EROFS: "it is on a disk that is read-only",
    errno.EACCES: "this user may not read or write it, or the folder that it is in",
    errno.EPERM: "this user may not do that with it",
}

_NO_HOME: Final = "Could not determine home directory"
"""What pathlib says."""


@contextmanager
def of_the_system() -> Iterator[None]:
    """Says what the system refuses wherever a command says no more itself.

    Raises:
        click.ClickException: in place of such an OSError, and of the lack of a home folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _SAYS:
            raise
        name = error.filename2 or error.filename
        raise click.ClickException(f"{f'{name}: ' if name else ''}{_SAYS[error.errno]} ({error.strerror})") from error
    except RuntimeError as error:
        from wsisam_server.core.settings import NoHomeError

        if isinstance(error, NoHomeError):
            raise click.ClickException(str(error)) from error
        if _NO_HOME in str(error):
            raise click.ClickException(str(NoHomeError())) from error
        raise
