"""Starts QuPath's Java through paquo: the only module of wsisam that imports paquo (GPL-3.0)."""

from __future__ import annotations

from typing import Any


class QuPathError(Exception):
    """QuPath cannot be started or cannot do what is asked.

    Attributes:
        problem: a word for the other process, which knows what to tell people.
    """

    def __init__(self, problem: str, text: str) -> None:
        super().__init__(text)
        self.problem = problem


def start() -> str:
    """Finds QuPath as paquo does, starts its Java in this process, and returns QuPath's version.

    Raises:
        QuPathError: "no paquo", "no QuPath" or "no Java".
    """
    try:
        import paquo  # noqa: F401, PLC0415 - its absence is looked for; importing paquo.java starts Java
    except ImportError as error:
        raise QuPathError("no paquo", str(error)) from error
    try:
        from paquo.java import qupath_version  # noqa: PLC0415
    except (ValueError, FileNotFoundError) as error:
        raise QuPathError("no QuPath", str(error)) from error
    except (RuntimeError, OSError, TypeError) as error:
        raise QuPathError("no Java", f"{type(error).__name__}: {error}") from error
    # QuPath tells of every hundredth object; what this program prints at last must be what ended it.
    java("org.slf4j.LoggerFactory").getLogger("ROOT").setLevel(java("ch.qos.logback.classic.Level").ERROR)
    # By loading it QuPath learns to read what it saves of images with other channels, operations and the like.
    java("qupath.lib.scripting.QP")
    return str(qupath_version)


def java(name: str) -> Any:
    """A Java class by its full name."""
    from paquo.jpype_backend import JClass  # noqa: PLC0415 - not before `start`

    return JClass(name)
