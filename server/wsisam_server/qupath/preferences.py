"""Reads what QuPath keeps in Java's preferences: where a user's files are, and which project was opened last.

Those are files on Linux, a property list on macOS, the registry on Windows. QuPath's node is io.github.qupath/VERSION,
one for each version of itself. Nothing is written.
"""

from __future__ import annotations

import base64
import plistlib
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NODE = "io.github.qupath"
KEY = "userPath"
RECENT_PROJECT = "recentProject0"

_STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_OF_JAVA = "!\"#$%&'(),-.:;<>@[]^`_{|}~" + "abcdefghijklmnopqrstuvwxyz" + "0123456789+?"
_TO_STANDARD = str.maketrans(_OF_JAVA, _STANDARD)


def user_paths(home: Path, platform: str = sys.platform) -> dict[str, str]:
    """QuPath's user folders by its version ("0.6"), as the preferences of the user name them.

    Args:
        home: the user's home folder.
        platform: as `sys.platform`.
    """
    return _values(KEY, home, platform)


def recent_projects(home: Path, platform: str = sys.platform) -> dict[str, str]:
    """The URI of the project that was opened last, by QuPath's version.

    Java writes its preferences within half a minute of a change.

    Args:
        home: the user's home folder, or what java.util.prefs.userRoot names in its place.
        platform: as `sys.platform`.
    """
    return _values(RECENT_PROJECT, home, platform)


def _values(key: str, home: Path, platform: str) -> dict[str, str]:
    if platform == "win32":
        return dict(_windows(key))
    if platform == "darwin":
        return dict(_macos(home / "Library" / "Preferences" / "com.apple.java.util.prefs.plist", key))
    return dict(_linux(home / ".java" / ".userPrefs", key))


def decode_node(folder: str) -> str:
    """The name of a preference node from that of its folder on Linux.

    Java writes a name with characters that a folder cannot have as "_" and Base64 of its UTF-16, in an alphabet of its
    own, which has no letters in capitals (some file systems do not tell them apart).

    Raises:
        ValueError: it is not a name that Java wrote.
    """
    if not folder.startswith("_"):
        return folder
    return base64.b64decode(folder[1:].translate(_TO_STANDARD), validate=True).decode("utf-16-be")


def encode_registry(text: str) -> str:
    """A name as Java writes it to the registry, as far as QuPath's names need it: capital letters are marked."""
    return "".join(f"/{letter}" if letter.isupper() else letter for letter in text)


def decode_registry(text: str) -> str:
    r"""A key's name or a value from the registry: "/x" is capital X, "//" a backslash, "/u00e9" é, "\" a slash."""
    out, at = [], 0
    while at < len(text):
        letter = text[at]
        if letter == "\\":
            out.append("/")
        elif letter != "/" or at + 1 == len(text):
            out.append(letter)
        elif text[at + 1] == "/":
            out.append("\\")
            at += 1
        elif text[at + 1] == "u" and len(text) >= at + 6:
            out.append(chr(int(text[at + 2 : at + 6], 16)))
            at += 5
        else:
            out.append(text[at + 1].upper())
            at += 1
        at += 1
    return "".join(out)


def _linux(root: Path, key: str) -> Iterator[tuple[str, str]]:
    for node in _named(root, NODE):
        for folder in _folders(node):
            path = _xml_value(folder / "prefs.xml", key)
            if path:
                yield _decoded(folder.name), path


def _named(root: Path, name: str) -> Iterator[Path]:
    return (folder for folder in _folders(root) if _decoded(folder.name) == name)


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:
        return []


def _decoded(folder: str) -> str:
    try:
        return decode_node(folder)
    except ValueError:
        return folder


def _xml_value(file: Path, key: str) -> str:
    try:
        root = ET.parse(file).getroot()  # noqa: S314 - the user's own file; expat expands nothing external
    except (OSError, ET.ParseError):
        return ""
    return next((entry.get("value", "") for entry in root.iter("entry") if entry.get("key") == key), "")


def _macos(file: Path, key: str) -> Iterator[tuple[str, str]]:
    try:
        preferences = plistlib.loads(file.read_bytes())
    except (OSError, plistlib.InvalidFileException, ValueError):
        return
    for versions in _below(preferences, NODE + "/"):
        for version, values in versions.items():
            if isinstance(values, dict) and isinstance(values.get(key), str):
                yield version.rstrip("/"), values[key]


def _below(tree: Any, name: str) -> Iterator[dict[str, Any]]:
    """The nodes of a name, at any depth: macOS lays the first levels of a path together or not."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key.lstrip("/") == name and isinstance(value, dict):
                yield value
            else:
                yield from _below(value, name)


def _windows(key: str) -> Iterator[tuple[str, str]]:
    import winreg  # noqa: PLC0415 - there is one on Windows only

    try:
        root = winreg.OpenKey(  # type: ignore[attr-defined,unused-ignore]
            winreg.HKEY_CURRENT_USER,  # type: ignore[attr-defined,unused-ignore]
            rf"Software\JavaSoft\Prefs\{NODE}",
        )
    except OSError:
        return
    with root:
        count = winreg.QueryInfoKey(root)[0]  # type: ignore[attr-defined,unused-ignore]
        for number in range(count):
            name = winreg.EnumKey(root, number)  # type: ignore[attr-defined,unused-ignore]
            try:
                with winreg.OpenKey(root, name) as node:  # type: ignore[attr-defined,unused-ignore]
                    value = winreg.QueryValueEx(node, encode_registry(key))[0]  # type: ignore[attr-defined,unused-ignore]
            except OSError:
                continue
            yield decode_registry(name), decode_registry(value)
