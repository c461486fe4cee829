"""The training loop where the encoder's last stage trains: each window is encoded once a step and asked for twice.

One of its two objects is asked for by a box, the other by clicks, so that a step's dearest part, the last stage's way
there and back, serves both.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from wsisam_server.learning.training.average import Average
from wsisam_server.learning.training.errors import TrainingError
from wsisam_server.learning.training.joint_network import JointNetwork
from wsisam_server.learning.training.losses import candidates_loss, click_places, objective
from wsisam_server.learning.training.network import Image
from wsisam_server.learning.training.optimizing import Optimizing
from wsisam_server.learning.training.simulated_session import SimulatedSession
from wsisam_server.learning.training.start import begin_with, begun
from wsisam_server.learning.training.windows import LABEL_SIDE, generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from wsisam_model.loading import Modules
    from wsisam_server.learning.training.examples import Example, Examples, Resolution
    from wsisam_server.learning.training.options import TrainOptions

_BOX_ROUNDS = 4  # at most, of a session that begins with a box
_BOX_ALONE = 0.6  # share of those that end with it


@dataclass(eq=False, slots=True)
class _Window:
    """A window that is asked for objects: the index of its example, and the sessions that still go on."""

    example: int
    sessions: list[SimulatedSession] = field(default_factory=list)


class JointTrainer:
    """Trains the last stage of the encoder and both routes on examples; the sibling of `Trainer`.

    Args:
        base: the frozen base.
        store: finds the examples' features, which are the input of the last stage.
        examples: at least one.
        options: of the run; a step takes `batch` / 2 windows, rounded up.
        device: where the networks train.
        start: tensors of an additions file to begin with.

    Attributes:
        network: what trains.
        average: of its weights.
        step: how many steps were made.
        start: the weights that the run began with.
        joined: the HR and LR additions take part from the first step on.
    """

    joined = True

    def __init__(
        self,
        base: Modules,
        store: Examples,
        examples: Sequence[Example],
        options: TrainOptions,
        device: torch.device,
        start: dict[str, Tensor] | None = None,
    ) -> None:
        if not examples:
            raise TrainingError("there is no window to train on; do the manifests hold objects in split 'train'?")
        if options.box_only or options.additions_from > 0:
            raise TrainingError("with --last-stage both routes train from the first step on; leave the rest to it")
        torch.manual_seed(options.seed)  # the additions' first weights
        self.network = JointNetwork(base, low=options.low_share > 0, bfloat16=options.bfloat16)
        begin_with(self.network, start or {})
        self.start = {} if start is None else begun(self.network, start)
        self.network.to(device)
        self.average = Average(self.network, options.average_decay)
        self.step = 0
        self._store = store
        self._examples = examples
        self._options = options
        self._device = device
        self._random = generator(options.seed, "sessions")
        self._drawn = 0
        self._windows: list[_Window] = []
        self._optimizing = Optimizing(self.network, self.average, self._groups(), options.steps)

    def train_step(self) -> float:
        """Asks each of a few windows for its objects once, and learns from the answers.

        Returns:
            The mean loss.

        Raises:
            TrainingError: the loss or its gradient is no finite number. The network is as it was before the step.
        """
        while len(self._windows) < -(-self._options.batch // 2):
            self._windows.append(self._next_window())
        self._optimizing.begin(self.step)
        count = sum(len(window.sessions) for window in self._windows)
        total = sum(self._learn(window, count) for window in self._windows)
        self._optimizing.end(self.step, total)
        self._windows = [window for window in self._windows if window.sessions]
        self.step += 1
        return total

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, as tensors and plain values."""
        return {
            "step": self.step,
            "drawn": self._drawn,
            "random": self._random.bit_generator.state,
            "windows": [(each.example, [session.state() for session in each.sessions]) for each in self._windows],
            **self._optimizing.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where `state` was taken, with the same numbers as if nothing had happened in between."""
        self.step, self._drawn = state["step"], state["drawn"]
        self._random.bit_generator.state = state["random"]
        self._windows = [
            _Window(example, [SimulatedSession.restored(each) for each in sessions])
            for example, sessions in state["windows"]
        ]
        self._optimizing.restore(state)

    def _learn(self, window: _Window, count: int) -> float:
        """Forward and backward for a window's sessions, and drops those that are over. Returns its part of the loss."""
        options, random = self._options, self._random
        example = self._examples[window.example]
        views: list[Resolution] = ["high", "low"] if random.random() < options.low_share else ["high"]
        whole = {view: self.network.images([self._store.features(example, view)], self._device) for view in views}
        # The decoders' gradients gather at the embeddings, and go through the last stage once.
        cut = {view: Image(image.embedding.detach().requires_grad_(), image.early) for view, image in whole.items()}
        total, going_on = 0.0, []
        for session in window.sessions:
            prompt = session.prompt(self.network.image_size)
            want_low = "low" in cut and random.random() < options.low_mask_share
            single = options.candidates_weight > 0 and session.is_single_click
            masks = self.network.route(prompt)(
                cut["high"], cut.get("low"), [prompt], want_low=want_low, want_candidates=single
            )
            mask = example.high == session.label
            wanted = torch.from_numpy(mask[None]).to(self._device)
            low = torch.from_numpy((example.low == session.label)[None]).to(self._device) if want_low else None
            clicked = click_places([session.clicks], LABEL_SIDE).to(self._device)
            loss = objective(masks, wanted, low, clicked, options.click_weight).sum()
            if masks.candidates is not None:
                loss = loss + options.candidates_weight * candidates_loss(masks.candidates, wanted).sum()
            (loss / count).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach()) / count
            if session.answered(mask, masks.logits.detach().cpu().numpy()[0], options, random):
                going_on.append(session)
        for view, image in whole.items():
            if cut[view].embedding.grad is not None:
                image.embedding.backward(cut[view].embedding.grad)  # type: ignore[no-untyped-call]
        window.sessions = going_on
        return total

    def _next_window(self) -> _Window:
        """The next window's; every one once in a random order, then again in another."""
        epoch, position = divmod(self._drawn, len(self._examples))
        index = int(generator(self._options.seed, "epoch", epoch).permutation(len(self._examples))[position])
        self._drawn += 1
        example = self._examples[index]
        clicks, box = (
            SimulatedSession.start(index, example, replace(self._options, box_share=share), self._random)
            for share in (0.0, 1.0)
        )
        box.rounds = 1 if self._random.random() < _BOX_ALONE else min(box.rounds, _BOX_ROUNDS)
        return _Window(index, [clicks, box])

    def _groups(self) -> list[dict[str, Any]]:
        parts: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
        for name, parameter in self.network.trained_parameters().items():
            parts[name.startswith("encoder.")].append(parameter)
        return [
            {"params": parts[True], "peak": self._options.last_stage_rate, "start": 0},
            {"params": parts[False], "peak": self._options.rate, "start": 0},
        ]
