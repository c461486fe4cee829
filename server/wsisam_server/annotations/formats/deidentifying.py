"""Takes out of annotations what identifies people and places, before they are written to a file that leaves the lab.

Replaced by stable pseudonyms: authors, slides (ids, paths and file names), projects, and names of annotations.
Left out: metadata that say nothing of how an outline was made. Kept: random ids, shapes, classes, measurements,
provenance.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from wsisam_server.annotations.formats import provenance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsisam_server.annotations.store import Annotation, SlideRecord
    from wsisam_server.core.pseudonyms import Pseudonyms

ALL_NAMES: Final = re.compile(".")

SLIDE: Final = re.compile(r"slide-[0-9a-f]{16}(\.[A-Za-z0-9]{1,8})?")
"""A slide's name after it was replaced: its file's ending is kept."""

_RANDOM: Final = 4
"""The version of UUIDs that were drawn by lot."""

_THROUGH: Final = re.compile(r"(?:qupath|replay):")
_ENDING: Final = re.compile(r"\.[A-Za-z0-9]{1,8}")
_TEXTS: Final = ("deleted_on_both_sides", "problems", "failures")


class Deidentifier:
    """Replaces and leaves out, and counts what.

    Args:
        pseudonyms: the replacements.
        names: names of annotations in which it finds something are replaced; all of them if not given.

    Attributes:
        left_out: keys of metadata that were left out, and how often; texts for people as "texts".
    """

    def __init__(self, pseudonyms: Pseudonyms, names: re.Pattern[str] = ALL_NAMES) -> None:
        self._pseudonyms = pseudonyms
        self._names = names
        self._replaced: dict[str, set[str]] = {}
        self._kept: set[str] = set()
        self.left_out: Counter[str] = Counter()

    @property
    def salt_id(self) -> str:
        """Of the salt; see `Pseudonyms`."""
        return self._pseudonyms.salt_id

    @property
    def replaced(self) -> dict[str, int]:
        """How many different texts of each kind were replaced."""
        return {kind: len(texts) for kind, texts in sorted(self._replaced.items())}

    def lines(self) -> list[str]:
        """What was done, for people."""
        done = ", ".join(f"{count} {kind}(s)" for kind, count in self.replaced.items())
        lines = [f"replaced: {done or 'nothing'}"]
        if self.left_out:
            lines.append("left out: " + ", ".join(f"{key} ({count})" for key, count in sorted(self.left_out.items())))
        if self._kept:
            lines.append(f"kept: {len(self._kept)} name(s) in which the pattern finds nothing")
        return lines

    def author(self, name: str) -> str:
        """Of whoever made something; through what they made it is kept, as in "qupath:anna"."""
        through = _THROUGH.match(name)
        before = through[0] if through else ""
        return before + self._of("author", name[len(before) :])

    def project(self, name: str) -> str:
        """Of a project, or of its file."""
        return self._of("project", name)

    def slide(self, slide_id: str, name: str = "") -> str:
        """Of a slide, by what it is and not by where it lies; the ending of its file's name is kept."""
        ending = PurePosixPath(unquote(name).replace("\\", "/")).suffix
        return self._of("slide", slide_id) + (ending if _ENDING.fullmatch(ending) else "")

    def name(self, name: str) -> str:
        """Of an annotation, where the pattern finds something in it."""
        if not name or not self._names.search(name):
            self._kept |= {name} - {""}
            return name
        return self._of("name", name)

    def id(self, one: uuid.UUID) -> uuid.UUID:
        """Of an annotation: a random one stays, so that the lab finds the object again.

        Others are made of something. An import without ids makes them of all that the object says, name and metadata
        too: likely names could be tried.
        """
        if one.version == _RANDOM:
            return one
        self._replaced.setdefault("id", set()).add(str(one))
        return self._pseudonyms.uuid(one)

    def version(self, version: str) -> str:
        """Of an annotation: the store's revision stays; a digest of what it says does not."""
        return version if version.isdecimal() else self._of("version", version)

    def annotation(self, one: Annotation) -> Annotation:
        """An annotation without what identifies."""
        content = one.content
        left_out = provenance.without(content.metadata)
        self.left_out.update(left_out.keys())
        content = replace(
            content,
            slide_id=self.slide(content.slide_id),
            name=self.name(content.name),
            project=self.project(content.project),
            metadata={key: value for key, value in content.metadata.items() if key not in left_out},
        )
        made = self.id(one.id)
        return replace(one, id=made, content=content, author=self.author(one.author), creator=self.author(one.creator))

    def annotations(self, several: Iterable[Annotation]) -> list[Annotation]:
        """As `annotation`, of each."""
        return [self.annotation(one) for one in several]

    def record(self, record: SlideRecord) -> SlideRecord:
        """A slide without its paths: its only place is its pseudonym."""
        place = record.uris[-1] if record.uris else ""
        return replace(record, slide_id=self.slide(record.slide_id), uris=(self.slide(record.slide_id, place),))

    def sync_report(self, report: dict[str, Any]) -> dict[str, Any]:
        """`Report.as_json` without names, paths and texts for people, which quote both."""
        self._leave_out(report["notes"])
        return {
            **report,
            "project": self.project(report["project"]),
            "store": self._of("store", report["store"]),
            "images": [self._image(image) for image in report["images"]],
            "notes": [],
        }

    def _image(self, image: dict[str, Any]) -> dict[str, Any]:
        for key in _TEXTS:
            self._leave_out(image[key])
        known = image["slide_id"]
        return {
            **image,
            "name": self._of("image", image["name"]),
            "slide_id": None if known is None else self.slide(known),
            "annotations": [self._action(action) for action in image["annotations"]],
            **{key: [] for key in _TEXTS},
        }

    def _action(self, action: dict[str, Any]) -> dict[str, Any]:
        author, reason = action["store_author"], action["reason"]
        if author:  # as the reason quotes it
            reason = reason.replace(author, self.author(author))
        said = {"id": str(self.id(uuid.UUID(action["id"]))), "name": self.name(action["name"]), "reason": reason}
        return {**action, **said, "store_author": author and self.author(author)}

    def _leave_out(self, texts: list[str]) -> None:
        if texts:
            self.left_out["texts"] += len(texts)

    def _of(self, kind: str, text: str) -> str:
        if text:
            self._replaced.setdefault(kind, set()).add(text)
        return self._pseudonyms.of(kind, text)
