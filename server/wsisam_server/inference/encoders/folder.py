"""The folder of compiled encoders: one folder in it for each finding, complete or not there at all."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import filelock

from wsisam_server.inference.encoders.errors import EncoderError
from wsisam_server.inference.encoders.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsisam_server.inference.encoders.finding import Conditions

_log = logging.getLogger(__name__)

FINDING: Final = "finding.json"
_STAGING: Final = ".writing-"

UNUSED_SECONDS: Final = 90 * 24 * 3600.0
"""After which a finding that no start has read is removed, when another is written."""

RETRY_SECONDS: Final = 24 * 3600.0
"""After which it is tried again what failed: memory may have been short."""


def compiled_file(side: int) -> str:
    """The name of the compiled encoder's file for images of one size."""
    return f"{side}.compiled"


class EncoderFolder:
    """Findings on the disk with what was compiled for them. Blocks; several processes may use it at once.

    Args:
        path: the folder; made when it is first written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, conditions: Conditions) -> Finding | None:
        """What is known under these conditions; None where that is nothing, or no longer counts."""
        finding = self._read(conditions.key)
        if finding is None or finding.conditions != conditions:
            return None
        if finding.problem and not 0 <= time.time() - finding.measured < RETRY_SECONDS:
            return None
        return finding

    def all(self) -> list[Finding]:
        """All findings, the newest first."""
        try:
            names = sorted(place.name for place in self.path.iterdir())
        except OSError:
            return []
        found = [self._read(name) for name in names if not name.startswith(".")]
        return sorted((one for one in found if one is not None), key=lambda one: -one.measured)

    def compiled(self, finding: Finding, sides: list[int]) -> dict[int, bytes]:
        """What was compiled, by the side of the images.

        Raises:
            EncoderError: a file is missing or not what was written. The finding is removed, if it can be.
        """
        place = self.path / finding.conditions.key
        data = {}
        for side in sides:
            try:
                data[side] = (place / compiled_file(side)).read_bytes()
            except OSError as error:
                problem = f"{place / compiled_file(side)} cannot be read ({error.strerror})"
            else:
                if hashlib.sha256(data[side]).hexdigest() == finding.sizes[side].sha256:
                    continue
                problem = f"{place / compiled_file(side)} is damaged"
            shutil.rmtree(place, ignore_errors=True)
            raise EncoderError(problem)
        # Others look at the time when they clean up.
        with suppress(OSError):
            os.utime(place)
        return data

    def note_checked(self, finding: Finding, side: int) -> Finding:
        """Adds a side to `Finding.checked`, here and on the disk if that can be written."""
        noted = dataclasses.replace(finding, checked=tuple(sorted({*finding.checked, side})))
        self._rewrite(noted)
        return noted

    def note_problem(self, finding: Finding, problem: str) -> None:
        """Replaces a finding by a problem, if the disk can be written."""
        self._rewrite(dataclasses.replace(finding, sizes={}, checked=(), problem=problem, measured=time.time()))

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder to prepare a finding in, which is gone afterwards unless it was published.

        Raises:
            EncoderError: it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            place = tempfile.mkdtemp(prefix=_STAGING, dir=self.path)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield Path(place)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def publish(self, place: Path, finding: Finding) -> None:
        """Makes a staged folder that of a finding, and removes what nobody has used for long.

        Raises:
            EncoderError: it cannot be written.
        """
        target = self.path / finding.conditions.key
        try:
            (place / FINDING).write_text(finding.to_json(), encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)
            place.replace(target)
        except OSError as error:
            raise self._unwritable(error) from error
        self._clean()

    @contextmanager
    def lock(self, conditions: Conditions, seconds: float) -> Iterator[None]:
        """Held by the one process that compiles under these conditions. Others wait.

        Raises:
            EncoderError: it took longer, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.path / f".{conditions.key}.lock", timeout=seconds)
            lock.acquire()
        except filelock.Timeout as error:
            raise EncoderError(f"another process has been compiling it for {seconds:g} s") from error
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            lock.release()

    def _unwritable(self, error: OSError) -> EncoderError:
        return EncoderError(f"the folder {self.path} cannot be written ({error.strerror or error})")

    def _read(self, name: str) -> Finding | None:
        try:
            return Finding.from_json((self.path / name / FINDING).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _rewrite(self, finding: Finding) -> None:
        place = self.path / finding.conditions.key
        try:
            with tempfile.NamedTemporaryFile("w", dir=place, delete=False, encoding="utf-8") as file:
                file.write(finding.to_json())
            Path(file.name).replace(place / FINDING)
        except OSError as error:
            _log.warning("what was found about the encoder cannot be noted: %s", error)

    def _clean(self) -> None:
        with suppress(OSError), os.scandir(self.path) as entries:
            for entry in entries:
                if entry.is_dir() and time.time() - entry.stat().st_mtime > UNUSED_SECONDS:
                    shutil.rmtree(entry.path, ignore_errors=True)
