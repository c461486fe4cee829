"""One run of training, from manifests to an additions file; what is on the disk suffices to go on after a kill."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from wsisam_model import ModelSettings
from wsisam_model.loading import with_last_stage
from wsisam_server.learning.training import sources, validation
from wsisam_server.learning.training.cache import FeatureCache
from wsisam_server.learning.training.checkpoint import load_state, save_state
from wsisam_server.learning.training.encoder import frozen_encoder
from wsisam_server.learning.training.errors import TrainingError
from wsisam_server.learning.training.examples import Examples
from wsisam_server.learning.training.export import export, export_joint, weakened
from wsisam_server.learning.training.history import History, Validation
from wsisam_server.learning.training.joint_trainer import JointTrainer
from wsisam_server.learning.training.start import blended, digest, joint_start, route_of, start_tensors
from wsisam_server.learning.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import torch
    from torch import Tensor

    from wsisam_model.additions import Additions
    from wsisam_model.loading import Modules
    from wsisam_server.inference.encoders import EncoderChoice
    from wsisam_server.learning.datasets import Row
    from wsisam_server.learning.training.examples import Example, Resolution
    from wsisam_server.learning.training.listeners import TrainingListener
    from wsisam_server.learning.training.options import TrainOptions
    from wsisam_server.learning.training.sources import Source
    from wsisam_server.learning.training.validation import ValidationAnswer

    Split: TypeAlias = tuple[Source, list[Row], list[Row]]

# They change neither the data nor a step.
_WITHOUT_INFLUENCE: Final = ("save_every", "validate_every", "patience", "skip_low")


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A finished run.

    Attributes:
        history: what was measured on the way.
        additions: the file of the best weights.
        windows: training windows by data set.
        skipped: rows without an object.
        worst_to_best: the answers of the best weights on the validation objects, by Dice.
    """

    history: History
    additions: Path
    windows: dict[str, int]
    skipped: int
    worst_to_best: tuple[ValidationAnswer, ...]


class Run:
    """Training on some data sets into one folder.

    The folder holds `features/` (the cache), `last.pt` (the checkpoint) and `best/additions.safetensors`.

    Args:
        base: the frozen base; its encoder is rewritten for inference.
        data: the data sets.
        options: of the run.
        folder: where everything goes; made if missing.
        device: where the network trains.
        listener: is called with the run's progress.
        beside: additions whose other route is kept in the file; if not given, those of `start` are.
        start: additions that the run begins with. They are validated before the first step, so that a run which makes
            them worse hands them back.
        encoder: how the frozen encoder is run; None for torch.

    Raises:
        TrainingError: `start` cannot be begun with, see `start`; or `beside` and `start` are for encoders of two kinds.

    Attributes:
        store: the examples' features.
        saved_step: of the newest checkpoint; 0 where there is none yet.
        additions: the file of the best weights so far, from the first validation on.
    """

    def __init__(
        self,
        base: Modules,
        data: Sequence[Source],
        options: TrainOptions,
        folder: Path,
        *,
        device: torch.device,
        listener: TrainingListener,
        beside: Additions | None = None,
        start: Additions | None = None,
        encoder: EncoderChoice | None = None,
    ) -> None:
        if not options.last_stage:
            base = _as_they_were_trained(base, beside, start)
        self._base = base
        self._data = data
        self._options = options
        self._folder = folder
        self._device = device
        self._listener = listener
        self._beside = beside or start
        self._settings = ModelSettings() if start is None else start.settings
        self._start = None
        if start is not None:
            self._start = joint_start(start) if options.last_stage else start_tensors(start, options)
        self._history = History()
        self._best: dict[str, Tensor] | None = None
        self.saved_step = 0
        # where the additions join late, most LR images are never asked for
        early = options.low_share > 0 and options.additions_from <= 0.5  # noqa: PLR2004
        resolutions: tuple[Resolution, ...] = ("high", "low") if early else ("high",)
        self.store = Examples(
            FeatureCache(folder / "features"),
            frozen_encoder(base, device, encoder, last_stage=not options.last_stage),
            base.weights_hash + (" without the last stage" if options.last_stage else base.last_stage.hex()),
            base.variant.image_size,
            connected_parts=options.connected_parts,
            encode_now=resolutions,
            vary_scale=options.vary_scale,
            vary_stain=options.vary_stain,
            wide=options.wide_views,
        )

    def run(self, *, resume: bool = False) -> TrainingResult:
        """Trains to the end, or until validation has not improved for long enough.

        Args:
            resume: go on from the folder's checkpoint.

        Raises:
            DatasetError: a manifest or one of its files cannot be used.
            TrainingError: there is nothing to train or to validate on, the loss is no number any more, the disk is
                full, or there is no fitting checkpoint to resume from. The checkpoint of before is intact.
        """
        checkpoint, identity = self._folder / "last.pt", self._identity()
        if checkpoint.exists() and not resume:
            raise TrainingError(f"{checkpoint} is there already; go on with --resume, or choose another --out")
        splits = [(source, *sources.split_rows(source)) for source in self._data]
        examples = self._examples(splits)
        cases = self._cases(splits)
        kind = JointTrainer if self._options.last_stage else Trainer
        trainer = kind(self._base, self.store, examples, self._options, self._device, self._start)
        if resume:
            state = load_state(checkpoint, identity)
            trainer.restore(state["trainer"])
            self.saved_step = trainer.step
            self._history, self._best = History.restored(state["history"]), state["best"]
        elif self._start is not None:
            self._validate(trainer, cases)
        while trainer.step < self._options.steps and not self._is_patience_over():
            self._history.losses.append(trainer.train_step())
            self._listener.stepped(trainer.step, self._options.steps, self._history.losses[-1])
            last = trainer.step == self._options.steps
            if last or trainer.step % self._options.validate_every == 0:
                self._validate(trainer, cases)
            if last or trainer.step % self._options.save_every == 0:
                state = {"trainer": trainer.state(), "history": self._history.state(), "best": self._best}
                save_state(checkpoint, identity, state)
                self.saved_step = trainer.step
        with trainer.average.applied(self._best):
            answers = sorted(self._answers(trainer, cases), key=lambda answer: answer.dice)
        counts = {source.name: sum(each.source == source.name for each in examples) for source in self._data}
        return TrainingResult(self._history, self.additions, counts, len(self.store.skipped), tuple(answers))

    @property
    def _draw_seed(self) -> int:
        return self._options.seed if self._options.draw_seed is None else self._options.draw_seed

    @property
    def additions(self) -> Path:
        """See the class."""
        return self._folder / "best" / "additions.safetensors"

    def _examples(self, splits: Sequence[Split]) -> list[Example]:
        """The training windows, their features in the cache."""
        options, found = self._options, []
        for (source, train, _), count in zip(splits, sources.shares(self._data, options.windows), strict=True):
            for example in self.store.draw(source, train, count, self._draw_seed):
                found.append(example)
                self._listener.encoded(len(found), options.windows)
        return found

    def _cases(self, splits: Sequence[Split]) -> list[Example]:
        """The objects to validate on, as many of each data set that has some."""
        options, found = self._options, []
        held_out = [(source, rows) for source, _, rows in splits if rows]
        for source, rows in held_out:
            count = -(-options.validation_objects // len(held_out))
            for example in validation.cases(self.store, source, rows, count, self._draw_seed):
                found.append(example)
                self._listener.encoded(len(found), options.validation_objects)
        if not found:
            raise TrainingError("there is no object to validate on; the manifests need rows of split 'val'")
        return found

    def _validate(self, trainer: Trainer | JointTrainer, cases: Sequence[Example]) -> None:
        """Measures the averaged weights, and writes them if they are the best so far."""
        weights = weakened(trainer.average.tensors, self._options.strength)
        weights = blended(weights, trainer.start, self._options.keep_start)
        with trainer.average.applied(weights):
            found = Validation.of(trainer.step, self._answers(trainer, cases))
        self._history.validations.append(found)
        self._listener.validated(found)
        if self._history.best is not found:
            return
        self._best = weights
        self.additions.parent.mkdir(parents=True, exist_ok=True)
        settings = replace(
            self._settings,
            mask_feedback=self._options.feedback > 0,
            read_low=self._settings.read_low and not self._options.skip_low,
        )
        tensors, base = self._untrained() | self._best, self._base.weights_hash
        if self._options.last_stage:
            export_joint(self.additions, tensors, base=base, settings=settings)
            return
        export(
            self.additions,
            route_of(self._options),
            self._options.trained,
            tensors,
            base=base,
            settings=settings,
            beside=self._beside,
        )

    def _untrained(self) -> dict[str, Tensor]:
        """What the run began with and leaves as it was: the LR additions, where no prompt sees an LR image."""
        if self._start is None or self._options.low_share > 0:
            return {}
        return {name: value for name, value in self._start.items() if ".low." in f".{name}"}

    def _answers(self, trainer: Trainer | JointTrainer, cases: Sequence[Example]) -> Iterator[ValidationAnswer]:
        low = self._options.low_share > 0
        low = low and trainer.joined
        additions = trainer.joined or (self._start is not None and self._options.additions_from == 1)
        answer = validation.network_answer(trainer.network, self.store, low=low, additions=additions)
        candidates = None
        if self._options.candidates_weight > 0:
            candidates = validation.network_candidates(trainer.network, self.store, low=low, additions=additions)
        ways = (True, False) if self._options.last_stage else (self._options.box_only,)
        for case in cases:
            for box_only in ways:
                yield from validation.answers(
                    answer,
                    case,
                    self.store.image_size,
                    box_only=box_only,
                    feedback=self._options.feedback > 0,
                    candidates=candidates,
                )

    def _is_patience_over(self) -> bool:
        return self._options.patience is not None and self._history.waited() >= self._options.patience

    def _identity(self) -> str:
        """Identifies all that decides the loss curve: base, settings, and the manifests' bytes."""
        settings = {name: value for name, value in asdict(self._options).items() if name not in _WITHOUT_INFLUENCE}
        manifests = [(hashlib.sha256(each.manifest.read_bytes()).hexdigest(), each.weight) for each in self._data]
        decisive = [self._base.weights_hash, settings, manifests]
        if self._base.last_stage:
            decisive.append(self._base.last_stage.hex())
        if self._start is not None:
            decisive.append(digest(self._start))
        text = json.dumps(decisive, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _as_they_were_trained(base: Modules, *kept: Additions | None) -> Modules:
    """The base with the encoder's last stage of additions whose weights go into the new file, too.

    Raises:
        TrainingError: they were trained on two kinds of it.
    """
    bases = [with_last_stage(base, additions) for additions in kept if additions is not None]
    if len({each.last_stage for each in bases}) > 1:
        raise TrainingError(
            "--from and --beside were trained on encoders with different last stages; weights of both cannot be in "
            "one file. Train them from the same file"
        )
    return bases[0] if bases else base
