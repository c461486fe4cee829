"""From a model to its compiled encoder: out of the folder, or by a trial in a process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from wsisam_server.inference.encoders import library
from wsisam_server.inference.encoders.errors import EncoderError
from wsisam_server.inference.encoders.finding import Conditions, Finding, Processor
from wsisam_server.inference.encoders.trial import TrialRequest, read_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import IO

    from wsisam_model.loading import ModelPaths
    from wsisam_server.inference.encoders.agreement import NumberType
    from wsisam_server.inference.encoders.folder import EncoderFolder

_log = logging.getLogger(__name__)

COMMAND: Final = (sys.executable, "-m", "wsisam_server.inference.encoders")

TRIAL_SECONDS: Final = 1800.0
"""That a trial may take. TinyViT's takes half a minute of the processor's time, of which others get most they want."""

POLL_SECONDS: Final = 0.1


class StoppedError(Exception):
    """This process ends, or nobody wants the encoder any more."""


@dataclass(frozen=True)
class Subject:
    """The encoder that is prepared.

    Attributes:
        model: a name, for people.
        paths: the model's files.
        encoder: `weights_hash` of its frozen encoder.
        threads: CPU threads of a run.
        number_type: that OpenVINO runs it in.
    """

    model: str
    paths: ModelPaths
    encoder: str
    threads: int
    number_type: NumberType = "float32"


class Preparation:
    """Finds out how an encoder is best run here, and loads what was compiled. Blocks: for a thread of its own.

    Args:
        folder: what is known, and what was compiled.
        forced: whether OpenVINO is wanted where it is slower, too.
        command: starts a trial.
        seconds: that a trial may take.

    Attributes:
        stopped: once set, nothing new begins, and a running trial ends.
    """

    def __init__(
        self,
        folder: EncoderFolder,
        *,
        forced: bool = False,
        command: Sequence[str] = COMMAND,
        seconds: float = TRIAL_SECONDS,
    ) -> None:
        self.folder = folder
        self.forced = forced
        self.stopped = threading.Event()
        self._command = tuple(command)
        self._seconds = seconds

    def known(self, subject: Subject) -> Finding | None:
        """What was found before.

        Raises:
            EncoderError: OpenVINO is missing or too old.
        """
        return self.folder.find(_conditions(subject))

    def load(self, subject: Subject, *, may_try: bool) -> tuple[Finding | None, library.CompiledEncoder | None]:
        """What is known or found out now, and the compiled encoder where it shall be used.

        Args:
            subject: the encoder.
            may_try: whether a trial may run where nothing is known.

        Raises:
            EncoderError: it cannot be used, and why. What a trial could not do is noted, and known for a day.
            StoppedError: see `stopped`.
        """
        finding = self.known(subject)
        if finding is not None:
            try:
                return finding, self._loaded(finding, subject)
            except EncoderError as error:
                if not may_try:
                    raise
                _log.warning("%s: %s; it is compiled anew", subject.model, error)
        if not may_try:
            return None, None
        finding = self._try(subject)
        return finding, self._loaded(finding, subject)

    def _loaded(self, finding: Finding, subject: Subject) -> library.CompiledEncoder | None:
        sides = finding.chosen(forced=self.forced)
        if not sides:
            return None
        return library.CompiledEncoder(self.folder.compiled(finding, sides), subject.threads, subject.number_type)

    def _try(self, subject: Subject) -> Finding:
        conditions = _conditions(subject)
        with self.folder.lock(conditions, self._seconds):
            # Another process may have been quicker, and left files that are sound.
            known = self.folder.find(conditions)
            if known is not None and self._is_sound(known):
                return known
            finding = Finding(conditions, str(Processor.here()), subject.model, time.time())
            with self.folder.staging() as place:
                problem = self._run(subject, place)
                if not problem:
                    try:
                        finding = dataclasses.replace(finding, sizes=read_sizes(place))
                    except (OSError, ValueError) as error:
                        problem = f"compiling it left nothing of use ({error})"
                finding = dataclasses.replace(finding, problem=problem)
                self.folder.publish(place, finding)
        return finding

    def _is_sound(self, finding: Finding) -> bool:
        try:
            self.folder.compiled(finding, list(finding.sizes))
        except EncoderError:
            return False
        return True

    def _run(self, subject: Subject, place: Path) -> str:
        """Runs a trial to its end. Returns its problem, or nothing."""
        request = TrialRequest(subject.paths, subject.encoder, subject.threads, subject.number_type)
        with tempfile.TemporaryFile() as printed:
            try:
                process = subprocess.Popen(  # noqa: S603 - our own program
                    [*self._command, request.to_json(), str(place)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=printed,
                    # An interrupt is for us.
                    start_new_session=os.name == "posix",
                )
            except OSError as error:
                raise EncoderError(f"the process that compiles it cannot be started ({error})") from error
            try:
                return self._ended(process, printed)
            finally:
                process.kill()
                process.wait()
                assert process.stdin is not None
                with contextlib.suppress(OSError):
                    process.stdin.close()

    def _ended(self, process: subprocess.Popen[bytes], printed: IO[bytes]) -> str:
        deadline = time.monotonic() + self._seconds
        while (status := process.poll()) is None:
            if self.stopped.wait(POLL_SECONDS):
                raise StoppedError
            if time.monotonic() > deadline:
                return f"compiling it took more than {self._seconds:g} s"
        if status == 0:
            return ""
        if status < 0:
            return f"compiling it died of {signal.Signals(-status).name}"
        printed.seek(0)
        lines = printed.read().decode(errors="replace").strip().splitlines()
        return f"compiling it failed ({lines[-1] if lines else f'status {status}'})"


def _conditions(subject: Subject) -> Conditions:
    processor = Processor.here().digest
    versions = library.require_version(), str(torch.__version__)
    return Conditions(subject.encoder, *versions, processor, subject.threads, subject.number_type)
