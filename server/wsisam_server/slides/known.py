"""A cache of which slide lies where. An entry counts as long as its files' stat signatures stay the same."""

from __future__ import annotations

import os
import shutil
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.slides.access import not_found
from wsisam_server.slides.drives import CallKind
from wsisam_server.slides.file import SlideFile, is_settled, named
from wsisam_server.slides.fingerprint import file_fingerprint
from wsisam_server.slides.futures import caught, done, failed, first_of, then

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from concurrent.futures import Future
    from typing import TypeAlias

    from wsisam_server.slides.access import FileLocation, SlideAccess
    from wsisam_server.slides.base import SlideInfo
    from wsisam_server.slides.drives import Drives
    from wsisam_server.slides.file import StatSignature

    Found: TypeAlias = tuple[str, SlideInfo]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

# Slides, and paths, that are known without being open. Evicted ones are opened again. An entry takes about 1 KiB.
_MOST_REMEMBERED = 4096

# Locations of one slide that are tried when it is opened again: copies that users name.
_MOST_COPIES = 4


@dataclass(frozen=True, slots=True)
class SlideOrigin:
    """How to open a slide again, the newest way first: locations, not files, so that access is checked again."""

    locations: tuple[FileLocation, ...]
    info: SlideInfo


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a path held when it was last read, and the signatures that show a change."""

    signatures: tuple[StatSignature, ...]
    slide_id: str
    members: tuple[Path, ...]
    is_settled: bool


class KnownSlides:
    """Remembers which slide lies where, and checks that it still does. Safe to call from several threads.

    Args:
        access: decides what may be opened.
        drives: run what asks file systems.
        load: opens a file that is not known, or changed; blocks.
    """

    def __init__(self, access: SlideAccess, drives: Drives, load: Callable[[FileLocation, SlideFile], Found]) -> None:
        self._access = access
        self._drives = drives
        self._load = load
        self._lock = threading.Lock()
        self._origins: OrderedDict[str, SlideOrigin] = OrderedDict()
        self._seen: OrderedDict[Path, _Seen] = OrderedDict()

    def origin(self, slide_id: str) -> SlideOrigin | None:
        """How to open a slide again; None for one that was not opened by reference."""
        with self._lock:
            return self._origins.get(slide_id)

    def note(
        self, location: FileLocation, file: SlideFile, info: SlideInfo, signatures: tuple[StatSignature, ...]
    ) -> str | None:
        """Takes note of what was opened.

        Args:
            location: where.
            file: that it was opened from.
            info: of the slide.
            signatures: of the file and the members of its set, as they were read.

        Returns:
            The id of the slide that was known to lie there before, if any.
        """
        slide_id = info.fingerprint
        with self._lock:
            before = self._seen.get(file.path)
            _remember(self._seen, file.path, _Seen(signatures, slide_id, file.members, is_settled(signatures)))
            _remember(self._origins, slide_id, _origin(location, info, self._origins.get(slide_id)))
        return None if before is None else before.slide_id

    def forget(self) -> None:
        """Forgets all."""
        with self._lock:
            self._origins.clear()
            self._seen.clear()

    def opening(self, uri: str, principal: str) -> Future[Found]:
        """See `OpenSlides.opening`."""
        silent: list[WsiSamServerError] = []

        def attempt(location: FileLocation) -> Future[Found | None]:
            def missing(error: WsiSamServerError) -> None:
                if error.reason is Reason.SLIDE_UNAVAILABLE and location.is_below:
                    silent.append(error)
                elif error.reason not in {Reason.SLIDE_NOT_FOUND, Reason.SLIDE_UNAVAILABLE}:
                    raise error

            return caught(self._opening_at(location, principal), missing)

        try:
            locations = self._access.locations(uri)
        except WsiSamServerError as error:
            return failed(error)
        attempts = (partial(attempt, location) for location in locations)
        found = first_of(attempts, lambda result: result is not None, lambda: silent[0] if silent else not_found(uri))
        return then(found, lambda result: done(_certain(result)))

    def checking(self, slide_id: str, origin: SlideOrigin, principal: str) -> Future[None]:
        """See `OpenSlides.checking`; for a slide that was opened by reference."""
        problems: list[WsiSamServerError] = []

        def note(error: WsiSamServerError) -> None:
            problems.append(error)

        def attempt(location: FileLocation) -> Future[Found | None]:
            return caught(self._opening_at(location, principal), note)

        def is_it(found: Found | None) -> bool:
            if found is None:
                return False
            problems.append(replaced(origin))
            return found[0] == slide_id and found[1].content == origin.info.content

        def changed() -> WsiSamServerError:
            return problems[0] if problems else not_found(str(origin.locations[0].path))

        attempts = (partial(attempt, location) for location in origin.locations)
        return then(first_of(attempts, is_it, changed), lambda _: done(None))

    def _opening_at(self, location: FileLocation, principal: str) -> Future[Found | None]:
        """Looks whether a slide is known, and opens or fingerprints it only where it is not, or its file changed."""

        def opened(found: Found | SlideFile | None) -> Future[Found | None]:
            if not isinstance(found, SlideFile):
                return done(found)
            return self._drives.submit(
                location.root, CallKind.OPEN, lambda: self._identified(location, found), principal
            )

        return then(self._drives.submit(location.root, CallKind.LOOK, lambda: self._look(location), principal), opened)

    def _look(self, location: FileLocation) -> Found | SlideFile | None:
        path = self._access.find(location)
        if path is None:
            return None
        with self._lock:
            seen = self._seen.get(path)
        if seen is not None and seen.is_settled and named(path, seen.members) == seen.signatures:
            known = self._known(seen.slide_id, location)
            if known is not None:
                return known
        return self._access.open(path)

    def _known(self, slide_id: str, location: FileLocation) -> Found | None:
        with self._lock:
            origin = self._origins.get(slide_id)
            if origin is None:
                return None
            _remember(self._origins, slide_id, _origin(location, origin.info, origin))
            return slide_id, origin.info

    def _identified(self, location: FileLocation, file: SlideFile) -> Found:
        """Which slide a file is, by its content. An unchanged file is not decoded."""
        with self._lock:
            seen = self._seen.get(file.path)
        if seen is not None and not seen.members:
            before = file.held()
            if _fingerprint_of(file) == seen.slide_id and file.held() == before:
                known = self._known(seen.slide_id, location)
                if known is not None:
                    with self._lock:
                        now = _Seen(before[:1], seen.slide_id, (), is_settled(before[:1]))
                        _remember(self._seen, file.path, now)
                    file.close()
                    return known
        return self._load(location, file)


def _remember(memory: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > _MOST_REMEMBERED:
        memory.popitem(last=False)


def _origin(location: FileLocation, info: SlideInfo, before: SlideOrigin | None) -> SlideOrigin:
    others = () if before is None else tuple(one for one in before.locations if one != location)
    return SlideOrigin((location, *others[: _MOST_COPIES - 1]), info)


def _certain(found: Found | None) -> Found:
    assert found is not None
    return found


def replaced(origin: SlideOrigin) -> WsiSamServerError:
    """Another slide lies where one was found."""
    return WsiSamServerError(
        Reason.SLIDE_UNREADABLE, private="another file took its place", path=origin.locations[0].path
    )


def _fingerprint_of(file: SlideFile) -> str:
    try:
        return file_fingerprint(file.name)
    except OSError as error:
        raise WsiSamServerError(Reason.SLIDE_UNREADABLE, private=repr(error), path=file.path) from error


def probed(root: Hashable) -> None:
    """Asks a drive what it cannot answer from memory."""
    if isinstance(root, Path):
        root.stat()
        shutil.disk_usage(root)
        with os.scandir(root) as entries:
            next(entries, None)
