"""The other process, in which QuPath's Java runs: started when it is needed, with a limit on every wait."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
from typing import IO, TYPE_CHECKING, Final

from wsisam_server.annotations.sync.errors import ImageError, SyncError
from wsisam_server.annotations.sync.runner import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_server.annotations.sync.runner.wire import Message

COMMAND: Final = (sys.executable, "-m", "wsisam_server.annotations.sync.runner")

START_SECONDS: Final = 120
REQUEST_SECONDS: Final = 600
"""How long the program may take by default. 10,000 annotations take it some seconds."""

_TELL_WHERE: Final = (
    'set PAQUO_QUPATH_DIR to the folder of QuPath 0.6 or newer, or write qupath_dir = "..." into a file .paquo.toml '
    "in the working folder"
)

_START_PROBLEMS: Final = {
    "no paquo": 'sync needs paquo ({text}); run: pip install ".[sync]"',
    "no QuPath": "paquo finds no QuPath on this machine ({text}): install it, or " + _TELL_WHERE,
    "no Java": "QuPath's Java does not start ({text}). Check that this QuPath itself starts; for another one, "
    + _TELL_WHERE,
}

_PROBLEMS: Final = {
    "unreadable": "QuPath cannot read its data file ({text}). In QuPath it would look empty, and saving it there would "
    "empty it: do not open it; put the last good data.qpdata in its place, from a backup or from wsisam-sync/backups",
    "no image": "it has no data file, and QuPath does not know how to open the image to begin one ({text})",
    "too old": "{text}, and this QuPath is too old to begin a data file for it: use QuPath 0.6 or newer, or open and "
    "save the image in yours once",
    "changed": "it was saved by somebody else while it was synced; sync again",
    "not written": "it cannot be written ({text}): does another program hold it, is the disk full, or may the folder "
    "not be written?",
    "not kept": "after writing, QuPath reads something else than was meant ({text}); please report this",
    "memory": "it is too large for QuPath's Java ({text}); give it more, for example PAQUO_JAVA_OPTS='[\"-Xmx16g\"]'",
    "bug": "reading or writing it failed ({text}); please report this, with what the program printed",
}


class QuPathProcess:
    """The program that reads and writes QuPath's data files.

    Args:
        command: what to start.
        start_seconds: how long it may take until it can be asked.
        request_seconds: how long an answer may take.
    """

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        *,
        start_seconds: float = START_SECONDS,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._command = tuple(command)
        self._start_seconds = start_seconds
        self._request_seconds = request_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[tuple[Message, bytes] | None] = queue.Queue()
        self._printed: IO[bytes] | None = None
        self.version = ""

    @property
    def is_running(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts it.

        Raises:
            SyncError: there is no paquo or no QuPath, or Java does not start.
        """
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            # An interrupt is for us, who then end it in order.
            start_new_session=os.name == "posix",
        )
        threading.Thread(target=self._listen, args=(self._process,), name="wsisam-qupath", daemon=True).start()
        answer, _ = self._receive(self._start_seconds, "starting")
        if "problem" in answer:
            raise SyncError(_START_PROBLEMS[answer["problem"]].format(text=answer["text"]))
        self.version = answer["qupath"]

    def ask(self, request: Message, data: bytes = b"", *, about: str = "the project") -> tuple[Message, bytes]:
        """Asks and waits for the answer.

        Args:
            request: see `runner.serve`.
            data: what comes with it.
            about: what it is about, for the texts of errors.

        Raises:
            ImageError: it cannot do what was asked.
            SyncError: it ended or did not answer in time.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended; waiting for its answer says how
            wire.send(self._process.stdin, request, data)
        answer, more = self._receive(self._request_seconds, f"with {about}")
        if "problem" in answer:
            raise ImageError(_PROBLEMS[answer["problem"]].format(text=answer["text"]))
        return answer, more

    def close(self) -> None:
        """Ends it. Closing twice is harmless."""
        if self._process is not None:
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._printed is not None:
            self._printed.close()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as stream:
            try:
                while (received := wire.receive(stream)) is not None:
                    self._answers.put(received)
            except (ValueError, KeyError):
                process.kill()
        self._answers.put(None)

    def _receive(self, seconds: float, what: str) -> tuple[Message, bytes]:
        assert self._process is not None
        try:
            received = self._answers.get(timeout=seconds)
        except queue.Empty:
            self._process.kill()
            raise SyncError(
                f"QuPath's Java was still busy {what} after {seconds:g} s and was ended. If the machine is just slow, "
                "allow more with --time-limit"
            ) from None
        if received is None:
            status = self._process.wait()
            raise SyncError(f"QuPath's Java ended unexpectedly {what} (status {status}). {self._last_words()}")
        return received

    def _last_words(self) -> str:
        assert self._printed is not None
        self._printed.seek(0)
        lines = self._printed.read().decode(errors="replace").strip().splitlines()
        return f"Its last words: {' | '.join(lines[-3:])}" if lines else "It printed nothing."
