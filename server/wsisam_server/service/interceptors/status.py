"""Any error to one of the catalogue."""

from __future__ import annotations

import errno
import logging
from typing import Final

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.interceptors.request_id import current_request_id

_EXHAUSTED: Final = frozenset({errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOBUFS})
_EXHAUSTED_TEXTS: Final = (
    "can't start new thread",  # Python's RuntimeError
    "bad_alloc",  # of libraries in C++
    "DefaultCPUAllocator",  # torch's RuntimeError
    "annot allocate memory",
    "Too many open files",  # as OpenSlide and databases pass them on
)

_log = logging.getLogger(__name__)


def normalized(error: Exception) -> WsiSamServerError:
    """An error of the catalogue: the given one, or INTERNAL, and a traceback in the log, for any other."""
    if is_exhausted(error):
        _log.error("out of memory, threads or open files: %s", error, exc_info=error)
        return WsiSamServerError(Reason.OUT_OF_MEMORY)
    if isinstance(error, WsiSamServerError):
        if error.private_text:
            _log.log(error.log_level, "%s (%s)", error, error.private_text, extra={"path": error.path})
        return error
    _log.error("unexpected error", exc_info=error)
    return WsiSamServerError(Reason.INTERNAL, request_id=current_request_id())


def is_exhausted(error: BaseException) -> bool:
    """Whether an error, or what it was raised from, means that this process has all that the system gives it.

    A slide that cannot be opened for the lack of a file descriptor is not damaged, whatever was made of that error.
    """
    # An error that is raised again with more details is its own cause.
    known, cause = isinstance(error, WsiSamServerError), error.__cause__
    if known and cause is not None and cause is not error:
        return is_exhausted(cause)
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _EXHAUSTED
    return isinstance(error, MemoryError) or (not known and any(text in str(error) for text in _EXHAUSTED_TEXTS))
