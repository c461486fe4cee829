"""The slides that are open at the moment: shared between users, bounded, and never closed under a reader."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.slides.opening import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from wsisam_server.config import Limits
    from wsisam_server.geometry import Window
    from wsisam_server.slides.access import SlideAccess
    from wsisam_server.slides.base import Slide, SlideInfo
    from wsisam_server.slides.pushed import PushedSlide

_Kind = TypeVar("_Kind", bound="Slide", covariant=True)  # noqa: PLC0105 - the usual suffix says nothing here
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_Signature = tuple[int, int, int, int]

# Slides, and paths, that are known without being open. Forgotten ones are opened anew; an entry takes about 1 KiB.
_MOST_REMEMBERED = 4096


@dataclass(slots=True)
class _Entry(Generic[_Kind]):
    """An open slide. It is closed once it is retired and no lease is left."""

    slide: _Kind
    owner: str = ""
    leases: int = 0
    retired: bool = False


class Held(NamedTuple):
    """How many slides are open, and the bytes of pixels that they hold."""

    slides: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class _Origin:
    """How to open a slide again. The URI is kept, not the path, so that access is decided anew."""

    uri: str
    info: SlideInfo


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a path held when it was last opened, and by what a change would show."""

    signature: _Signature
    slide_id: str


class OpenSlides:
    """Opens slides by reference, keeps the most recently used ones open, and keeps those that clients push.

    A slide by reference has its fingerprint as its id, so that two users, two paths and two mounts share one handle.
    All methods block, and are safe to call from several threads.

    Args:
        access: decides what may be opened.
        limits: how many slides by reference stay open, and how large a plain image may be.
    """

    def __init__(self, access: SlideAccess, limits: Limits) -> None:
        self._access = access
        self._limits = limits
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _Entry[Slide]] = OrderedDict()
        self._pushed: OrderedDict[str, _Entry[PushedSlide]] = OrderedDict()
        self._origins: OrderedDict[str, _Origin] = OrderedDict()
        self._seen: OrderedDict[Path, _Seen] = OrderedDict()
        self._loading: dict[Path, Future[tuple[str, SlideInfo]]] = {}

    def open(self, uri: str) -> tuple[str, SlideInfo]:
        """Finds a slide by reference. A file that changed on disk is a new slide.

        A slide that was opened before and did not change is not opened again until it is leased.

        Returns:
            The slide's id and the facts about it.

        Raises:
            WsiSamServerError: SLIDE_NOT_FOUND, SLIDE_UNREADABLE or SLIDE_TOO_LARGE.
        """
        path = self._access.resolve(uri)
        signature = _signature(path)
        with self._lock:
            seen = self._seen.get(path)
            if seen is not None and seen.signature == signature:
                origin = self._origins.get(seen.slide_id)
                if origin is not None:
                    self._origins.move_to_end(seen.slide_id)
                    return seen.slide_id, origin.info
        return self._load(uri, path)

    def info(self, slide_id: str) -> SlideInfo:
        """The facts about a slide that was opened or pushed. Does not open it again.

        Raises:
            WsiSamServerError: UNKNOWN_SLIDE_ID.
        """
        with self._lock:
            known = self._origins.get(slide_id)
            if known is not None:
                return known.info
            entry = self._pushed.get(slide_id)
            if entry is None:
                raise WsiSamServerError(Reason.UNKNOWN_SLIDE_ID)
            return entry.slide.info

    def pushed(self, slide_id: str) -> PushedSlide | None:
        """The slide to push pixels to, or None when the id is not that of a pushed slide."""
        with self._lock:
            entry = self._pushed.get(slide_id)
            if entry is None:
                return None
            self._pushed.move_to_end(slide_id)
            return entry.slide

    def add_pushed(self, slide: PushedSlide, owner: str = "") -> str:
        """Registers a slide whose pixels its client sends.

        It stays until `close_pushed`, or until so many newer ones were added or used, of the same owner or of all,
        that it has to make room; its client then meets UNKNOWN_SLIDE_ID and opens it again.

        Args:
            slide: new, without pixels.
            owner: who pushes: one who opens many loses their own first.

        Returns:
            Its id, which cannot be guessed.
        """
        unused: list[Slide] = []
        with self._lock:
            self._pushed[slide.info.fingerprint] = _Entry(slide, owner)
            own = [known for known, entry in self._pushed.items() if entry.owner == owner]
            if len(own) > self._limits.pushed_slides_per_user:
                unused += _retire(self._pushed.pop(own[0]))
            while len(self._pushed) > max(1, self._limits.pushed_slides):
                _, oldest = self._pushed.popitem(last=False)
                unused += _retire(oldest)
        _close(unused)
        return slide.info.fingerprint

    def close_pushed(self, slide_id: str) -> None:
        """Forgets a pushed slide, and frees its pixels when the last lease ends.

        Raises:
            WsiSamServerError: UNKNOWN_SLIDE_ID.
        """
        with self._lock:
            entry = self._pushed.pop(slide_id, None)
            if entry is None:
                raise WsiSamServerError(Reason.UNKNOWN_SLIDE_ID)
            unused = _retire(entry)
        _close(unused)

    def reader(self, slide_id: str) -> Callable[[Window], NDArray[np.uint8]]:
        """What reads a window of a slide, uint8 [size, size, 3] RGB, under a lease; it raises what `lease` raises."""

        def read(window: Window) -> NDArray[np.uint8]:
            with self.lease(slide_id) as slide:
                return slide.read(window)

        return read

    @contextmanager
    def lease(self, slide_id: str) -> Iterator[Slide]:
        """Holds a slide open for reading. One that was closed to make room is opened again.

        Raises:
            WsiSamServerError: UNKNOWN_SLIDE_ID, also when the file's content has changed since; and what `open`
                raises.
        """
        entry = self._acquire(slide_id)
        try:
            yield entry.slide
        finally:
            with self._lock:
                entry.leases -= 1
                unused = [entry.slide] if entry.retired and not entry.leases else self._trim()
            _close(unused)

    def held(self) -> dict[str, Held]:
        """What is open now: "file" for slides by reference, "pushed" for those whose pixels clients send."""
        with self._lock:
            slides: dict[str, list[Slide]] = {
                "file": [entry.slide for entry in self._open.values()],
                "pushed": [entry.slide for entry in self._pushed.values()],
            }
        return {source: Held(len(ones), sum(one.nbytes for one in ones)) for source, ones in slides.items()}

    def close(self) -> None:
        """Closes everything that is not leased now, and the rest when its lease ends."""
        with self._lock:
            entries: list[_Entry[Slide]] = [*self._open.values(), *self._pushed.values()]
            self._open.clear()
            self._pushed.clear()
            self._origins.clear()
            self._seen.clear()
            unused = [slide for entry in entries for slide in _retire(entry)]
        _close(unused)

    def _acquire(self, slide_id: str) -> _Entry[Slide]:
        # More than one round is only needed when others push the slide out between its loading and its leasing.
        while True:
            with self._lock:
                entry: _Entry[Slide] | None = self._open.get(slide_id) or self._pushed.get(slide_id)
                if entry is not None:
                    entry.leases += 1
                    if slide_id in self._open:
                        self._open.move_to_end(slide_id)
                    return entry
                origin = self._origins.get(slide_id)
            if origin is None:
                raise WsiSamServerError(Reason.UNKNOWN_SLIDE_ID)
            found, _ = self._load(origin.uri, self._access.resolve(origin.uri))
            if found != slide_id:
                with self._lock:
                    self._origins.pop(slide_id, None)
                raise WsiSamServerError(Reason.UNKNOWN_SLIDE_ID, private=f"is {found} now", place=origin.uri)

    def _load(self, uri: str, path: Path) -> tuple[str, SlideInfo]:
        """Opens a path. Who asks for it meanwhile waits for the same result: a plain image may take a gigabyte."""
        with self._lock:
            loading = self._loading.get(path)
            if loading is None:
                mine = self._loading[path] = Future[tuple[str, "SlideInfo"]]()
        if loading is not None:
            return loading.result()
        try:
            # Before opening: a file that changes meanwhile then looks changed, not current.
            signature = _signature(path)
            slide = open_slide(path, self._limits)
            result = slide.info.fingerprint, slide.info
            unused = self._adopt(slide, _Origin(uri, slide.info), path, signature)
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(result)
        finally:
            with self._lock:
                del self._loading[path]
        _close(unused)
        return result

    def _adopt(self, slide: Slide, origin: _Origin, path: Path, signature: _Signature) -> list[Slide]:
        """Enters an opened slide, and returns the slides that may be closed now."""
        slide_id = origin.info.fingerprint
        unused: list[Slide] = []
        with self._lock:
            before = self._seen.get(path)
            if before is not None and before.slide_id != slide_id and before.slide_id in self._open:
                # The old handle may see the new bytes. If another path still has the old content, it is reopened.
                unused += _retire(self._open.pop(before.slide_id))
            if slide_id in self._open:
                unused.append(slide)
            else:
                self._open[slide_id] = _Entry(slide)
            self._open.move_to_end(slide_id)
            _remember(self._origins, slide_id, origin)
            _remember(self._seen, path, _Seen(signature, slide_id))
            return unused + self._trim()

    def _trim(self) -> list[Slide]:
        """Takes the least recently used slides out, leased ones and the newest excepted. Call it with the lock."""
        surplus = len(self._open) - max(1, self._limits.open_slides)
        excess = sum(entry.slide.nbytes for entry in self._open.values()) - self._limits.open_slide_bytes
        unused: list[Slide] = []
        for slide_id in list(self._open)[:-1]:
            if surplus <= 0 and excess <= 0:
                break
            if not self._open[slide_id].leases:
                slide = self._open.pop(slide_id).slide
                unused.append(slide)
                surplus -= 1
                excess -= slide.nbytes
        return unused


def _retire(entry: _Entry[Slide]) -> list[Slide]:
    entry.retired = True
    return [] if entry.leases else [entry.slide]


def _close(slides: list[Slide]) -> None:
    # Outside the lock: closing may wait for a file system.
    for slide in slides:
        slide.close()


def _remember(memory: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > _MOST_REMEMBERED:
        memory.popitem(last=False)


def _signature(path: Path) -> _Signature:
    """What changes when a file is edited or replaced.

    Raises:
        WsiSamServerError: SLIDE_NOT_FOUND when the file is gone.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise WsiSamServerError(Reason.SLIDE_NOT_FOUND, private=repr(error), place=path) from error
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
