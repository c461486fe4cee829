"""Shows this project's modules a system like Windows, on Linux: put this folder into PYTHONPATH.

It is no Windows: paths stay as they are here, and nothing is said about permissions. It refuses what Windows refuses of
our own calls, and takes away what Windows has not. Each refusal is a line of $WINDOWS_LIKE_FINDINGS; what a program does
well leaves none. Other packages have branches of their own for Windows, and see nothing of this.
"""

# ruff: noqa: PTH112, PTH115, PTH119, PTH208 - below what pathlib is made of

import asyncio
import builtins
import io
import os
import re
import sys

OURS = {"wsisam", "wsisam_server", "wsisam_model"}
PASSED_THROUGH = {"pathlib", "shutil", "contextlib", "os", __name__}

MISSING = {
    "os": [
        "fork",
        "getuid",
        "geteuid",
        "getegid",
        "chown",
        "fchown",
        "fchmod",
        "nice",
        "fdatasync",
        "statvfs",
        "mkfifo",
        "sched_getaffinity",
        "O_NOFOLLOW",
        "O_DIRECTORY",
        "O_CLOEXEC",
        "O_NONBLOCK",
        "O_PATH",
        "O_NOCTTY",
        "getloadavg",
        "sysconf",
        "uname",
        "killpg",
        "setsid",
    ],
    "signal": [
        "SIGHUP",
        "SIGUSR1",
        "SIGUSR2",
        "SIGKILL",
        "SIGALRM",
        "SIGPIPE",
        "SIGCHLD",
        "setitimer",
        "pthread_kill",
        "pthread_sigmask",
    ],
    "socket": ["AF_UNIX", "SO_REUSEPORT"],
    "sys": [],
}
CHANGED = {"os": {"name": "nt", "supports_dir_fd": frozenset()}, "sys": {"platform": "win32"}}
NO_MODULES = {"fcntl", "resource", "pwd", "grp", "termios"}
NO_NAME = re.compile(r'[<>:"|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$', re.IGNORECASE)

real_open, real_import, real_os_open, real_fsync = io.open, builtins.__import__, os.open, os.fsync


def caller():
    frame = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in PASSED_THROUGH:
        frame = frame.f_back
    return "" if frame is None else frame.f_globals.get("__name__", "")


def is_ours(name):
    return isinstance(name, str) and name.split(".")[0] in OURS


def note(what):
    with real_open(os.environ["WINDOWS_LIKE_FINDINGS"], "a", encoding="utf-8") as log:
        log.write(f"{caller()}: {what}\n")


class View:
    """A module without some of its names."""

    def __init__(self, module):
        self.__dict__["_module"] = module

    def __getattr__(self, name):
        module = self.__dict__["_module"]
        if name in CHANGED.get(module.__name__, {}):
            return CHANGED[module.__name__][name]
        if name in MISSING[module.__name__]:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        return getattr(module, name)

    def __setattr__(self, name, value):
        setattr(self.__dict__["_module"], name, value)


def imported(name, globals_=None, locals_=None, fromlist=(), level=0):
    if level == 0 and globals_ is not None and is_ours(globals_.get("__name__")):
        if name in NO_MODULES:
            note(f"imports {name}")
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in MISSING:
            return View(real_import(name, globals_, locals_, fromlist, level))
    return real_import(name, globals_, locals_, fromlist, level)


def opened_by_os(path, flags, mode=0o777, *, dir_fd=None):
    if is_ours(caller()) and (dir_fd is not None or os.path.isdir(path)):
        note(f"opens a folder, or something by one: {path}")
        raise PermissionError(13, "Permission denied", os.fspath(path))
    return real_os_open(path, flags, mode, dir_fd=dir_fd)


def flushed(descriptor):
    number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
    with real_open(f"/proc/self/fdinfo/{number}", encoding="ascii") as info:
        flags = int(next(line for line in info if line.startswith("flags")).split()[1], 8)
    if is_ours(caller()) and flags & os.O_ACCMODE == os.O_RDONLY:
        note("flushes what it opened to be read only")
        raise OSError(9, "Bad file descriptor")
    return real_fsync(descriptor)


def opened(file, mode="r", buffering=-1, encoding=None, *more, **others):
    if encoding is None and "b" not in mode and is_ours(caller()):
        note(f"text in the machine's own encoding: {file}")
        encoding = "cp1252"
    return real_open(file, mode, buffering, encoding, *more, **others)


def is_open(path):
    """Whether this process has a file open, or one in a folder."""
    real = os.path.realpath(path)
    for number in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if name == real or name.startswith(f"{real}/"):
            return True
    return False


def refusing(name):
    real = getattr(os, name)

    def call(*paths, **more):
        if is_ours(caller()):
            for path in paths:
                if os.path.lexists(path) and is_open(path):
                    note(f"{name} of {path}, which it has open")
                    raise PermissionError(13, "The process cannot access the file", os.fspath(path))
            if name == "rename" and os.path.lexists(paths[1]):
                note(f"rename onto {paths[1]}")
                raise FileExistsError(17, "Cannot create a file when that file already exists", os.fspath(paths[1]))
        return real(*paths, **more)

    return call


def audited(event, arguments):
    if (
        event in {"open", "os.mkdir", "os.rename"}
        and isinstance(arguments[0], (str, os.PathLike))
        and is_ours(caller())
    ):
        name = os.path.basename(os.fspath(arguments[0]))
        if isinstance(name, str) and NO_NAME.search(name):
            note(f"{event} of the name {name!r}")
            raise OSError(22, "The filename, directory name, or volume label syntax is incorrect", arguments[0])


def missing(*_, **__):
    raise NotImplementedError


builtins.__import__ = imported
io.open = builtins.open = opened
os.open, os.fsync = opened_by_os, flushed
for changed in ("unlink", "rename", "replace"):
    setattr(os, changed, refusing(changed))
os.remove = os.unlink
asyncio.SelectorEventLoop.add_signal_handler = missing
sys.addaudithook(audited)
