"""An encoder that torch runs first, and OpenVINO once it is known to be faster here and to agree."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Final

import torch

from wsisam_server.inference.encoders.agreement import TOLERANCES, difference
from wsisam_server.inference.encoders.errors import EncoderError
from wsisam_server.inference.encoders.preparing import StoppedError, Subject

if TYPE_CHECKING:
    from torch import Tensor

    from wsisam_model import EncoderOutput
    from wsisam_model.encoder import ImageEncoder
    from wsisam_model.loading import ModelPaths
    from wsisam_server.inference.encoders.agreement import NumberType
    from wsisam_server.inference.encoders.finding import Finding
    from wsisam_server.inference.encoders.library import CompiledEncoder
    from wsisam_server.inference.encoders.preparing import Preparation

_log = logging.getLogger(__name__)

CHECKS: Final = 3
"""Windows of one size on which both must agree before the change-over. They are encoded twice."""

LOAD_AFTER: Final = 4
TRY_AFTER: Final = 32
"""Windows that a command has encoded before it loads what is known, and before it starts a trial: most end before."""

EXIT_SECONDS: Final = 10.0
"""That the end of this process waits for what loads: a library must not be unloaded under it."""


class SwitchingEncoder:
    """An `EncoderRunner`.

    All that takes time begins with the first images, on a thread beside: a process that encodes nothing pays nothing.
    That is also where the number of threads is known, which torch has for the thread that runs the model. A failure of
    any kind leaves torch running, and one line in the log.

    Args:
        encoder: frozen, in float32 on the CPU.
        name: of its model, for people.
        paths: the model's files.
        preparation: finds out what is best.
        number_type: that OpenVINO shall run it in.
        eager: whether to begin at once, as in a server; else after `LOAD_AFTER` and `TRY_AFTER` windows.
    """

    def __init__(
        self,
        encoder: ImageEncoder,
        name: str,
        paths: ModelPaths,
        preparation: Preparation,
        *,
        number_type: NumberType = "float32",
        eager: bool,
    ) -> None:
        self._encoder = encoder
        self._name = name
        self._paths = paths
        self._preparation = preparation
        self._number_type = number_type
        self._begin_at = [1] if eager else [LOAD_AFTER, TRY_AFTER]
        self._seen = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._compiled: CompiledEncoder | None = None
        self._finding: Finding | None = None
        self._agreed: dict[int, int] = {}
        self.description = "torch; OpenVINO is looked at with the first windows"

    def __call__(self, images: Tensor, /) -> EncoderOutput:
        """See `EncoderRunner`."""
        compiled = self._compiled
        self._begin()
        if compiled is None or not compiled.takes(images):
            made: EncoderOutput = self._encoder(images)
            return made
        if self._agreed.get(images.shape[-1], 0) < CHECKS:
            return self._checked(compiled, images)
        try:
            return compiled(images)
        except EncoderError as error:
            self._give_up(str(error))
            return self._encoder(images)  # type: ignore[no-any-return]

    @property
    def number_type(self) -> str:
        """See `EncoderRunner`: OpenVINO's, once it runs images of any size. Each output says its own."""
        compiled = self._compiled
        if compiled is None or not any(agreed >= CHECKS for agreed in self._agreed.values()):
            return ""
        return compiled.number_type

    @property
    def nbytes(self) -> int:
        """See `EncoderRunner`: a copy for each size of images."""
        sizes = 2 if self._encoder.takes_parts else 1
        return sizes * sum(int(tensor.nbytes) for tensor in self._encoder.state_dict().values())

    def wait(self, seconds: float | None = None) -> None:
        """Waits until what goes on beside has ended."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _begin(self) -> None:
        with self._lock:
            self._seen += 1
            if not self._begin_at or self._seen < self._begin_at[0]:
                return
            if self._finding is not None or (self._thread is not None and self._thread.is_alive()):
                return
            self._begin_at.pop(0)
            may_try = not self._begin_at
            # Not of lower priority: OpenVINO's own threads would inherit it.
            thread = threading.Thread(
                target=self._prepare,
                args=(torch.get_num_threads(),),
                kwargs={"may_try": may_try},
                name="wsisam-encoder",
                daemon=True,
            )
            if may_try:
                self.description = "torch; the encoder is being compiled for this processor"
            try:
                thread.start()
            except RuntimeError:  # the system gives none
                self.description = "torch; the system gives no thread to compile the encoder"
                return
            self._thread = thread
            _running.add(self)

    def _prepare(self, threads: int, *, may_try: bool) -> None:
        try:
            subject = Subject(self._name, self._paths, self._encoder.weights_hash(), threads, self._number_type)
            finding, compiled = self._preparation.load(subject, may_try=may_try)
        except StoppedError:
            return
        except EncoderError as error:
            self._give_up(str(error))
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, torch goes on
            _log.debug("preparing the compiled encoder failed", exc_info=True)
            self._give_up(repr(error))
            return
        self._finding = finding
        if finding is None:
            return
        text = finding.text(forced=self._preparation.forced)
        if compiled is None:
            self.description = text
            (_log.warning if finding.problem else _log.info)("%s: the encoder is run by %s", self._name, text)
            return
        self._agreed = dict.fromkeys(finding.checked, CHECKS)
        self._compiled = compiled
        if set(finding.chosen(forced=self._preparation.forced)) <= set(finding.checked):
            self._changed_over()
        else:
            self.description = f"torch; OpenVINO takes over once it agrees on {CHECKS} windows"

    @torch.inference_mode()
    def _checked(self, compiled: CompiledEncoder, images: Tensor) -> EncoderOutput:
        """Torch's output, with which OpenVINO's is compared. A blank image tells nothing."""
        expected: EncoderOutput = self._encoder(images)
        if not bool((images.amax((2, 3)) > images.amin((2, 3))).any()):
            return expected
        try:
            off = difference(compiled(images), expected)
        except EncoderError as error:
            self._give_up(str(error))
            return expected
        if not off <= TOLERANCES[self._number_type]:
            problem = f"OpenVINO's features of a window differ from torch's by {off:.2g} of the largest"
            if self._finding is not None:
                self._preparation.folder.note_problem(self._finding, problem)
            self._give_up(problem)
            return expected
        side = images.shape[-1]
        with self._lock:
            agreed = self._agreed[side] = self._agreed.get(side, 0) + 1
        if agreed == CHECKS and self._finding is not None:
            self._finding = self._preparation.folder.note_checked(self._finding, side)
            self._changed_over()
        return expected

    def _changed_over(self) -> None:
        assert self._finding is not None
        self.description = self._finding.text(forced=self._preparation.forced)
        _log.info("%s: the encoder is run by %s", self._name, self.description)

    def _give_up(self, why: str) -> None:
        self._compiled = None
        self.description = f"torch: {why}"
        _log.warning("%s: the encoder is run by torch: %s", self._name, why)

    def _stop(self) -> None:
        self._preparation.stopped.set()


_running: weakref.WeakSet[SwitchingEncoder] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Ends trials, and waits for what loads, before the interpreter goes."""
    running = list(_running)
    for one in running:
        one._stop()  # noqa: SLF001
    for one in running:
        one.wait(EXIT_SECONDS)
