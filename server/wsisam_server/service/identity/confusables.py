"""Confusable names: a Cyrillic letter in a Latin name looks the same, and makes another user.

The method is that of Unicode's Technical Standard 39: no name mixes scripts, except those that are written together.
Names are compared by a skeleton, in which confusable letters are one. The standard's whole table is half a megabyte
for pairs such as 1 and l, which would forbid harmless names; ours has the letters of Cyrillic, Greek and Armenian that
look like Latin ones, and the few of Latin that do.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_WRITTEN_TOGETHER: Final = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
)
"""Scripts that one name may mix, as the standard's level "highly restrictive" has them."""

_LIKE: Final = {
    "A": "АΑᴀ",
    "a": "аαɑ",  # noqa: RUF001
    "B": "вВΒ",
    "b": "ьЬ",
    "C": "Сᴄ",  # noqa: RUF001
    "c": "с",  # noqa: RUF001
    "d": "ԁ",  # noqa: RUF001
    "E": "ЕΕᴇ",
    "e": "е",  # noqa: RUF001
    "G": "Ԍ",  # noqa: RUF001
    "g": "ցɡ",  # noqa: RUF001
    "H": "нНΗ",
    "h": "һհ",  # noqa: RUF001
    "I": "ІӀΙ",  # noqa: RUF001
    "i": "іιıɩ",  # noqa: RUF001
    "J": "ЈͿ",  # noqa: RUF001
    "j": "јϳյ",
    "K": "КΚᴋ",
    "k": "кκ",
    "L": "Լʟ",
    "l": "ӏ",  # noqa: RUF001
    "M": "мМΜᴍ",
    "N": "Νɴ",
    "n": "ո",  # noqa: RUF001
    "O": "ОΟՕᴏ",  # noqa: RUF001
    "o": "оοօ",  # noqa: RUF001
    "P": "РΡ",  # noqa: RUF001
    "p": "рρ",  # noqa: RUF001
    "Q": "Ԛ",
    "q": "ԛզ",  # noqa: RUF001
    "R": "ʀ",
    "r": "г",  # noqa: RUF001
    "S": "ЅՏ",  # noqa: RUF001
    "s": "ѕ",  # noqa: RUF001
    "T": "ТΤᴛ",
    "t": "тτ",
    "U": "Սᴜ",  # noqa: RUF001
    "u": "υս",  # noqa: RUF001
    "V": "ᴠ",  # noqa: RUF001
    "v": "ν",  # noqa: RUF001
    "W": "Ԝᴡ",  # noqa: RUF001
    "w": "ԝω",
    "X": "ХΧ",  # noqa: RUF001
    "x": "х",  # noqa: RUF001
    "Y": "УҮΥʏ",  # noqa: RUF001
    "y": "уүγ",  # noqa: RUF001
    "Z": "Ζᴢ",  # noqa: RUF001
}
"""For a Latin letter those of Cyrillic, Greek, Armenian and of Latin itself that look like it."""

_NOT_SEEN: Final = (0x115F, 0x1160)
"""Letters of Hangul that only fill a place."""

_LIKE_LATIN: Final = {ord(one): latin for latin, those in _LIKE.items() for one in those} | dict.fromkeys(_NOT_SEEN)


def mixes_scripts(name: str) -> bool:
    """Whether a name has letters of several scripts that nobody writes in one word."""
    scripts = {_script(letter) for letter in unicodedata.normalize("NFKC", name) if letter.isalpha()}
    return len(scripts) > 1 and not any(scripts <= together for together in _WRITTEN_TOGETHER)


def are_confusable(one: str, other: str) -> bool:
    """Whether two different names look the same."""
    return one != other and _skeleton(one) == _skeleton(other)


def _skeleton(name: str) -> str:
    # Decomposed, so that letters with the same mark are compared by what bears it.
    return unicodedata.normalize("NFKD", name).translate(_LIKE_LATIN)


def _script(letter: str) -> str:
    """The script of a letter, which is the first word of its name."""
    return unicodedata.name(letter, "").partition(" ")[0]
