"""The slides that are open at the moment: shared between users, bounded, and never closed under a reader."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import openslide

from wsisam_server.core.cancellation import uncancellable
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.slides.access import not_found
from wsisam_server.slides.drives import CallKind, Drives
from wsisam_server.slides.file import is_settled
from wsisam_server.slides.futures import done, failed
from wsisam_server.slides.known import KnownSlides, probed, replaced
from wsisam_server.slides.opening import ATTEMPTS, open_slide, still_holds
from wsisam_server.slides.openslide_source import OpenSlideSource
from wsisam_server.slides.tiff import TiffSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window
    from wsisam_server.core.settings import Limits
    from wsisam_server.slides.access import FileLocation, SlideAccess
    from wsisam_server.slides.base import Slide, SlideInfo
    from wsisam_server.slides.file import SlideFile, StatSignature
    from wsisam_server.slides.known import Found, SlideOrigin
    from wsisam_server.slides.pushed import PushedSlide

_Kind = TypeVar("_Kind", bound="Slide", covariant=True)  # noqa: PLC0105 - the usual suffix says nothing here


@dataclass(slots=True)
class _Entry(Generic[_Kind]):
    """An open slide. It is closed once it is retired and no lease is left.

    `file` is what it is read from, and `held` its signatures when its content was last known to be the slide's. Without
    a file, all of its pixels are in memory.
    """

    slide: _Kind
    principal: str = ""
    leases: int = 0
    retired: bool = False
    file: SlideFile | None = None
    held: tuple[StatSignature, ...] = ()
    is_settled: bool = True


class SlideUsage(NamedTuple):
    """Number of open slides, and the bytes of pixels that they hold."""

    slides: int
    nbytes: int


class OpenSlides:
    """Opens slides by reference, keeps the most recently used ones open, and keeps those that clients push.

    A slide by reference has its fingerprint as its id, so that two users, two paths and two mounts share one handle.
    What is read under an id has that fingerprint. Each use checks the file's stat signature (inode, size, times), and
    its content where that differs.

    File system calls run on threads of their own (`Drives`). All methods are safe to call from several threads;
    `open`, readers and leases block, the others do not.

    Args:
        access: decides what may be opened.
        limits: how many slides by reference stay open, how large a plain image may be, and how long a drive may take.
    """

    def __init__(self, access: SlideAccess, limits: Limits) -> None:
        self._access = access
        self._limits = limits
        self.drives = Drives(limits.file_system_seconds, probed)
        for root in access.silent:
            self.drives.mark(root)
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _Entry[Slide]] = OrderedDict()
        self._pushed: OrderedDict[str, _Entry[PushedSlide]] = OrderedDict()
        self._known = KnownSlides(access, self.drives, self._load)
        self._loading: dict[Path, Future[tuple[str, SlideInfo]]] = {}

    def open(self, uri: str, principal: str = "") -> tuple[str, SlideInfo]:
        """As `opening`, and waits."""
        return self.opening(uri, principal).result()

    def opening(self, uri: str, principal: str = "") -> Future[tuple[str, SlideInfo]]:
        """Finds a slide by reference. A file that changed on disk is a new slide.

        A slide that was opened before and did not change is not opened again until it is leased.

        Args:
            uri: path or file URI as the client sees it.
            principal: whose share of the drive's queue it uses.

        Returns:
            The slide's id and the facts about it; or SLIDE_NOT_FOUND, SLIDE_UNREADABLE, SLIDE_TOO_LARGE,
            SLIDE_UNAVAILABLE, SHUTTING_DOWN.
        """
        return self._known.opening(uri, principal)

    def checking(self, slide_id: str, principal: str = "") -> Future[None]:
        """Checks that a slide is still what it was when it was opened; a pushed one always is.

        Returns:
            Nothing; or UNKNOWN_SLIDE_ID; SLIDE_UNREADABLE: another file took its place; and what `opening` ends with.
        """
        with self._lock:
            if slide_id in self._pushed:
                return done(None)
        origin = self._known.origin(slide_id)
        if origin is None:
            return failed(WsiSamServerError(Reason.UNKNOWN_SLIDE_ID))
        return self._known.checking(slide_id, origin, principal)

    def info(self, slide_id: str) -> SlideInfo:
        """The facts about a slide that was opened or pushed. Does not open it again.

        Raises:
            WsiSamServerError: UNKNOWN_SLIDE_ID.
        """
        known = self._known.origin(slide_id)
        if known is not None:
            return known.info
        with self._lock:
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

    def add_pushed(self, slide: PushedSlide, principal: str = "") -> str:
        """Registers a slide whose pixels its client sends.

        It stays until `close_pushed`, or until so many newer ones were added or used, of the same owner or of all,
        that it has to make room; its client then meets UNKNOWN_SLIDE_ID and opens it again.

        Args:
            slide: new, without pixels.
            principal: who pushes: one who opens many loses their own first.

        Returns:
            Its id, which cannot be guessed.
        """
        unused: list[Slide] = []
        with self._lock:
            self._pushed[slide.info.fingerprint] = _Entry(slide, principal)
            own = [known for known, entry in self._pushed.items() if entry.principal == principal]
            if len(own) > self._limits.pushed_slides_per_user:
                unused += _retire(self._pushed.pop(own[0]))
            while len(self._pushed) > max(1, self._limits.pushed_slides):
                _, oldest = self._pushed.popitem(last=False)
                unused += _retire(oldest)
        _close(unused)
        return slide.info.fingerprint

    def close_pushed(self, slide_id: str, principal: str | None = None) -> bool:
        """Forgets a pushed slide, and frees its pixels when the last lease ends.

        Args:
            slide_id: any; of a slide by reference, nothing happens.
            principal: who must have added it; None for whoever did.

        Returns:
            Whether there was such a slide.
        """
        with self._lock:
            entry = self._pushed.get(slide_id)
            if entry is None or (principal is not None and entry.principal != principal):
                return False
            del self._pushed[slide_id]
            unused = _retire(entry)
        _close(unused)
        return True

    def reader(self, slide_id: str) -> Callable[[Window], NDArray[np.uint8]]:
        """What reads a window of a slide, uint8 [size, size, 3] RGB.

        The pixels are those of the slide's id: a file that was replaced or edited meanwhile is SLIDE_UNREADABLE. It
        also raises what `lease` raises, SLIDE_UNAVAILABLE where the drive does not answer, and SHUTTING_DOWN.
        """

        def read(window: Window) -> NDArray[np.uint8]:
            with self._lock:
                entry: _Entry[Slide] | None = self._open.get(slide_id) or self._pushed.get(slide_id)
            origin = self._known.origin(slide_id)
            if (entry is not None and entry.file is None) or origin is None:
                with self.lease(slide_id) as slide:
                    return slide.read(window)
            return self.drives.run(origin.locations[0].root, CallKind.READ, lambda: self._read(slide_id, window))

        return read

    @contextmanager
    def lease(self, slide_id: str) -> Iterator[Slide]:
        """Holds a slide open for reading. One that was closed to make room is opened again.

        Raises:
            WsiSamServerError: UNKNOWN_SLIDE_ID; SLIDE_UNREADABLE, also when another file took its place; and what
                `open` raises.
        """
        with self._leased(slide_id) as entry:
            yield entry.slide

    def held(self) -> dict[str, SlideUsage]:
        """What is open now: "file" for slides by reference, "pushed" for those whose pixels clients send."""
        with self._lock:
            slides: dict[str, list[Slide]] = {
                "file": [entry.slide for entry in self._open.values()],
                "pushed": [entry.slide for entry in self._pushed.values()],
            }
        return {source: SlideUsage(len(ones), sum(one.nbytes for one in ones)) for source, ones in slides.items()}

    def abandon(self) -> None:
        """Ends all that asks file systems with SHUTTING_DOWN; nothing is opened or read afterwards."""
        self.drives.close()

    def close(self) -> None:
        """Closes everything that is not leased now, and the rest when its lease ends."""
        self.abandon()
        with self._lock:
            entries: list[_Entry[Slide]] = [*self._open.values(), *self._pushed.values()]
            self._open.clear()
            self._pushed.clear()
            unused = [slide for entry in entries for slide in _retire(entry)]
        self._known.forget()
        _close(unused)

    def _read(self, slide_id: str, window: Window) -> NDArray[np.uint8]:
        """Reads under a lease; again where the file was touched meanwhile."""
        with self._leased(slide_id) as entry:
            for _ in range(ATTEMPTS):
                patch = entry.slide.read(window)
                if entry.file is None or self._is_untouched(slide_id, entry, entry.file):
                    return patch
            raise WsiSamServerError(Reason.SLIDE_UNREADABLE, private="it keeps changing")

    def _is_untouched(self, slide_id: str, entry: _Entry[Slide], file: SlideFile) -> bool:
        """Whether what was just read is what the slide was opened as.

        Raises:
            WsiSamServerError: SLIDE_UNREADABLE: its content is another one.
        """
        held = file.held()
        untouched = held == entry.held
        if untouched and entry.is_settled:
            return True
        try:
            holds = still_holds(file, entry.slide.info)
            private = "replaced while open"
        except (OSError, openslide.OpenSlideError) as error:
            holds, private = False, repr(error)
        if not holds:
            with self._lock:
                unused = _retire(self._open.pop(slide_id)) if self._open.get(slide_id) is entry else []
            _close(unused)
            raise WsiSamServerError(Reason.SLIDE_UNREADABLE, private=private, path=file.path)
        entry.held, entry.is_settled = held, is_settled(held)
        return untouched

    @contextmanager
    def _leased(self, slide_id: str) -> Iterator[_Entry[Slide]]:
        entry = self._acquire(slide_id)
        try:
            yield entry
        finally:
            with self._lock:
                entry.leases -= 1
                unused = [entry.slide] if entry.retired and not entry.leases else self._trim()
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
            origin = self._known.origin(slide_id)
            if origin is None:
                raise WsiSamServerError(Reason.UNKNOWN_SLIDE_ID)
            self._load_again(slide_id, origin)

    def _load_again(self, slide_id: str, origin: SlideOrigin) -> None:
        problem: WsiSamServerError | None = None
        for location in origin.locations:
            try:
                path = self._access.find(location)
                if path is None:
                    problem = problem or not_found(str(location.path))
                elif self._load(location, self._access.open(path))[0] == slide_id:
                    return
            except WsiSamServerError as error:
                problem = problem or error
        raise problem or replaced(origin)

    def _load(self, location: FileLocation, file: SlideFile) -> Found:
        """Opens a file. Who asks for it meanwhile waits for the same result: a plain image may take a gigabyte."""
        path = file.path
        with self._lock:
            loading = self._loading.get(path)
            if loading is None:
                mine = self._loading[path] = Future[tuple[str, "SlideInfo"]]()
        if loading is not None:
            file.close()
            return loading.result()
        try:
            with uncancellable():
                slide = open_slide(file, self._limits)
            result = slide.info.fingerprint, slide.info
            unused = self._adopt(slide, location, file)
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

    def _adopt(self, slide: Slide, location: FileLocation, file: SlideFile) -> list[Slide]:
        """Enters an opened slide, and returns the slides that may be closed now."""
        info, signatures = slide.info, file.read_as or file.held()
        slide_id = info.fingerprint
        reads_file = isinstance(slide, (OpenSlideSource, TiffSource))
        entry: _Entry[Slide] = _Entry(
            slide, file=file if reads_file else None, held=signatures, is_settled=is_settled(signatures)
        )
        own = (signatures[0], *signatures[2:]) if file.by_path else signatures[:1]
        if not reads_file:
            file.close()  # all of it is in memory
        unused: list[Slide] = []
        before = self._known.note(location, file, info, own)
        with self._lock:
            if before is not None and before != slide_id and before in self._open:
                # If another path still has the old content, it is reopened.
                unused += _retire(self._open.pop(before))
            known = self._open.get(slide_id)
            if known is not None and known.slide.info.content != info.content:
                # Files of the set were exchanged; the quick hash does not cover them.
                unused += _retire(self._open.pop(slide_id))
                known = None
            if known is not None:
                unused.append(slide)
            else:
                self._open[slide_id] = entry
            self._open.move_to_end(slide_id)
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
