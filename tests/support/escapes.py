"""Slides of a lab, with all around them that must not be opened, and the table of tricks that try."""

import contextlib
import os
import socket
from pathlib import Path


def lay(folder):
    """Two roots, a neighbour that shares a root's prefix, and links and oddities inside the first root."""
    root = folder / "slides"
    (root / "study 1").mkdir(parents=True)
    (folder / "more").mkdir()
    (folder / "slides-secret").mkdir()
    for name in (
        "slides/a.svs",
        "slides/study 1/b #1 100%.svs",
        "slides/ä.svs",
        "slides/%2e.svs",
        "more/c.svs",
        "more/a.svs",
        "slides-secret/s.svs",
        "secret.svs",
    ):
        (folder / name).write_bytes(b"x")
    (root / "inside.svs").symlink_to("study 1/../a.svs")
    (root / "other-root.svs").symlink_to(folder / "more" / "c.svs")
    (root / "out.svs").symlink_to(folder / "secret.svs")
    (root / "chain1").symlink_to("chain2")
    (root / "chain2").symlink_to("out.svs")
    (root / "loop").symlink_to("loop")
    (root / "broken").symlink_to("nothing")
    (root / "folder-out").symlink_to(folder / "slides-secret")
    (root / "device").symlink_to("/dev/zero")
    os.mkfifo(root / "fifo.svs")
    # A socket's name may be 107 bytes long, so it is bound by a relative one.
    with socket.socket(socket.AF_UNIX) as listener, _inside(root):
        listener.bind("socket.svs")
    (root / "process").symlink_to("/proc/self/root")
    (root / "input.svs").symlink_to("/dev/stdin")
    return folder


@contextlib.contextmanager
def _inside(folder):
    before = Path.cwd()
    os.chdir(folder)
    yield
    os.chdir(before)


ESCAPES = [
    "",
    " ",
    ".",
    "/",
    "missing.svs",
    "{d}/slides/missing.svs",
    "{d}/secret.svs",
    "{d}/slides-secret/s.svs",
    "{d}/slides",
    "{d}/slides/",
    "file:{d}/slides",
    "{d}/slides/study 1",
    "{d}/slides/a.svs/x",
    "{d}/slides/../secret.svs",
    "{d}/slides/study 1/../a.svs",
    "../secret.svs",
    "..",
    "study 1/../../secret.svs",
    "..\\secret.svs",
    "{d}\\slides\\..\\secret.svs",
    "file:{d}/slides/%2e%2e/secret.svs",
    "file:{d}/slides/%2E%2E%2Fsecret.svs",
    "file:{d}/slides/..%5Csecret.svs",
    "file:{d}/slides/%252e%252e/secret.svs",
    "{d}/slides/%2e%2e/secret.svs",
    "{d}/slides/study%201/b%20%231%20100%25.svs",
    "{d}/slides/out.svs",
    "{d}/slides/chain1",
    "{d}/slides/loop",
    "{d}/slides/broken",
    "{d}/slides/folder-out/s.svs",
    "{d}/slides/device",
    "{d}/slides/fifo.svs",
    "{d}/SLIDES/a.svs",
    "{d}/slides/A.SVS",
    "/MNT/client/a.svs",
    "/mnt/client2/a.svs",
    "/mnt/evil/secret.svs",
    "/mnt/evil",
    "Z:\\Slides",
    "Z:\\Slides2\\a.svs",
    "Z:Slides\\a.svs",
    "Z:\\Slides\\..\\..\\secret.svs",
    "X:\\a.svs",
    "C:{d}/slides/a.svs",
    "file:/C:{d}/slides/a.svs",
    "\\\\other\\share\\a.svs",
    "file://other/share/a.svs",
    "file://host{d}/slides/a.svs",
    "//host{d}/slides/a.svs",
    "\\\\?\\Z:\\Slides\\a.svs",
    "file:a.svs",
    "file:",
    "file://",
    "file:///",
    "file:{d}/slides/a.svs?series=1",
    "file:{d}/slides/a.svs#1",
    "file:{d}/slides/%ff.svs",
    "http://localhost{d}/slides/a.svs",
    "HTTPS://localhost/a.svs",
    "s3://bucket/a.svs",
    "file+http:{d}/slides/a.svs",
    "~/a.svs",
    "{d}/slides/a.svs\0",
    "{d}/slides/\0/../a.svs",
    "file:{d}/slides/a.svs%00",
    "{d}/slides/\ud800.svs",
    "{d}/slides/" + "a" * 300,
    "{d}/slides/" + "a/" * 5000,
    "/dev/zero",
    "/etc/passwd",
    "/proc/self/mem",
    # The same dots in other clothes: too long in UTF-8, full width, encoded twice and thrice.
    "file:{d}/slides/%c0%ae%c0%ae/secret.svs",
    "{d}/slides/\uff0e\uff0e/secret.svs",
    "file:{d}/slides/%25252e%25252e/secret.svs",
    "{d}/slides/.../secret.svs",
    "{d}/slides/.. /secret.svs",
    "{d}/slides/a.svs.",
    "{d}/slides/a.svs ",
    "{d}/slides/a.svs::$DATA",
    "{d}/slides/CON",
    "{d}/slides/socket.svs",
    "{d}/slides/input.svs",
    "{d}/slides/process/etc/passwd",
    "/proc/self/root{d}/slides/a.svs",
    "/proc/self/cwd/slides/a.svs",
    "/dev/fd/0",
    "/dev/stdin",
    "/dev/tty",
    "file:///dev/zero",
    "file://localhost/../{d}/secret.svs",
    "\\\\?\\UNC\\nas\\share\\..\\secret.svs",
    "\\\\.\\PhysicalDrive0",
    "\\\\localhost\\c$\\secret.svs",
    "//nas/share/../secret.svs",
    "//nas/other/a.svs",
    "data:,x",
    "jar:file:{d}/slides/a.svs!/x",
    "{d}/slides/a.svs\n{d}/secret.svs",
    "$HOME/a.svs",
    "`id`",
    "-rf",
]
