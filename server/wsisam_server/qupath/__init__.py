"""QuPath room: the client jar and the scripts on their way into QuPath's user directories, and out of them.

In: folders. Out: files copied, and reports of what was done or found. It must never talk to a
server, nor read or write anything of QuPath's but what it installed itself.
"""

from wsisam_server.qupath.bundle import Bundle, find_bundle
from wsisam_server.qupath.check import Finding, check
from wsisam_server.qupath.directories import (
    SUPPORTED,
    UserDirectory,
    find_user_directories,
    given_user_directory,
    why_not,
)
from wsisam_server.qupath.errors import QuPathFilesError
from wsisam_server.qupath.install import FileAction, install, uninstall
from wsisam_server.qupath.program import user_directory_of

__all__ = [
    "SUPPORTED",
    "Bundle",
    "FileAction",
    "Finding",
    "QuPathFilesError",
    "UserDirectory",
    "check",
    "find_bundle",
    "find_user_directories",
    "given_user_directory",
    "install",
    "uninstall",
    "user_directory_of",
    "why_not",
]
