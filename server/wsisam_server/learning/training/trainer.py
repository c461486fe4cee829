"""The training loop: sessions in, steps of the optimizer out, resumable to the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from wsisam_model.prompt_batch import batches
from wsisam_server.learning.training.average import Average
from wsisam_server.learning.training.errors import TrainingError
from wsisam_server.learning.training.losses import candidates_loss, click_places, objective
from wsisam_server.learning.training.network import Network, stack
from wsisam_server.learning.training.optimizing import Optimizing
from wsisam_server.learning.training.simulated_session import SimulatedSession
from wsisam_server.learning.training.start import begin_with, begun
from wsisam_server.learning.training.validation import base_answer
from wsisam_server.learning.training.windows import LABEL_SIDE, generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from wsisam_model.loading import Modules
    from wsisam_server.learning.training.examples import Example, Examples
    from wsisam_server.learning.training.options import TrainOptions

_MICRO_BATCH = 8  # prompts run together on an accelerator; on a CPU one by one is faster


class Trainer:
    """Trains one network on examples.

    Args:
        base: the frozen base.
        store: finds the examples' features.
        examples: at least one.
        options: of the run.
        device: where the network trains.
        start: weights to begin with, see `start_tensors`.

    Attributes:
        network: what trains.
        average: of its weights.
        step: how many steps were made.
        start: the weights that the run began with, see `begun`.
    """

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
        if options.candidates_weight > 0 and options.trained != "decoder+masks":
            raise TrainingError(
                "candidates have weights of their own; use --train decoder+masks with --candidates-weight"
            )
        torch.manual_seed(options.seed)  # the additions' first weights
        self.network = Network(base, options.trained, low=options.low_share > 0)
        begin_with(self.network, start or {})
        self.start = {} if start is None else begun(self.network, start)
        self.network.to(device)
        self.average = Average(self.network, options.average_decay)
        self.step = 0
        never = options.steps + 1
        self._join = round(options.additions_from * options.steps) if options.additions_from < 1 else never
        self._store = store
        self._base_answer = base_answer(base, store)
        self._examples = examples
        self._options = options
        self._device = device
        self._random = generator(options.seed, "sessions")
        self._drawn = 0
        self._sessions: list[SimulatedSession] = []
        self._optimizing = Optimizing(self.network, self.average, self._groups(), options.steps)

    def train_step(self) -> float:
        """Asks for `batch` objects once each, and learns from the answers.

        Returns:
            The mean loss.

        Raises:
            TrainingError: the loss or its gradient is no finite number. The network is as it was before the step.
        """
        options = self._options
        while len(self._sessions) < options.batch:
            self._sessions.append(self._next_session())
        self._optimizing.begin(self.step)
        prompts = [session.prompt(self.network.image_size) for session in self._sessions]
        use_low = [self.joined and self._random.random() < options.low_share for _ in prompts]
        total, going_on = 0.0, [False] * len(prompts)
        for indices in batches(prompts, 1 if self._device.type == "cpu" else _MICRO_BATCH):
            for low in (True, False):
                chosen = [index for index in indices if use_low[index] is low]
                if chosen:
                    total += self._learn(chosen, [prompts[index] for index in chosen], going_on, use_low=low)
        self._optimizing.end(self.step, total)
        self._sessions = [session for session, more in zip(self._sessions, going_on, strict=True) if more]
        self.step += 1
        return total

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, as tensors and plain values."""
        return {
            "step": self.step,
            "drawn": self._drawn,
            "random": self._random.bit_generator.state,
            "sessions": [session.state() for session in self._sessions],
            **self._optimizing.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where `state` was taken, with the same numbers as if nothing had happened in between."""
        self.step, self._drawn = state["step"], state["drawn"]
        self._random.bit_generator.state = state["random"]
        self._sessions = [SimulatedSession.restored(each) for each in state["sessions"]]
        self._optimizing.restore(state)

    @property
    def joined(self) -> bool:
        """Whether the HR and LR additions take part by now."""
        return self.step >= self._join

    def _learn(self, chosen: list[int], prompts: list[Any], going_on: list[bool], *, use_low: bool) -> float:
        """Forward and backward for prompts of one kind; notes which sessions go on. Returns their part of the loss."""
        options, random = self._options, self._random
        sessions = [self._sessions[index] for index in chosen]
        examples = [self._examples[session.example] for session in sessions]
        high = stack([self._store.features(example, "high") for example in examples], self._device)
        low = stack([self._store.features(example, "low") for example in examples], self._device) if use_low else None
        low_mask = use_low and random.random() < options.low_mask_share
        wanted = [example.high == session.label for example, session in zip(examples, sessions, strict=True)]
        wanted_low = [example.low == session.label for example, session in zip(examples, sessions, strict=True)]
        single = [options.candidates_weight > 0 and session.is_single_click for session in sessions]
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._has_bfloat16):
            masks = self.network(
                high, low, prompts, additions=self.joined, want_low=low_mask, want_candidates=any(single)
            )
        clicked = click_places([session.clicks for session in sessions], LABEL_SIDE).to(self._device)
        wanted_masks, low_masks = self._masks(wanted), self._masks(wanted_low) if low_mask else None
        loss = objective(masks, wanted_masks, low_masks, clicked, options.click_weight).sum()
        if masks.candidates is not None:
            counted = torch.tensor(single, device=self._device)
            loss = loss + options.candidates_weight * (candidates_loss(masks.candidates, wanted_masks) * counted).sum()
        loss = loss / options.batch
        loss.backward()  # type: ignore[no-untyped-call]
        for index, session, mask, logits in zip(
            chosen, sessions, wanted, masks.logits.detach().cpu().numpy(), strict=True
        ):
            going_on[index] = session.answered(mask, logits, options, random)
        return float(loss.detach())

    def _masks(self, masks: list[Any]) -> Tensor:
        return torch.from_numpy(np.stack(masks)).to(self._device)

    @property
    def _has_bfloat16(self) -> bool:
        return self._device.type == "cuda" and torch.cuda.is_bf16_supported()

    def _next_session(self) -> SimulatedSession:
        """The next window's; every window once in a random order, then again in another.

        A box alone is the base's to answer. What trains is how clicks correct its answer, if there is a fault in it.
        """
        while True:
            epoch, position = divmod(self._drawn, len(self._examples))
            order = generator(self._options.seed, "epoch", epoch).permutation(len(self._examples))
            self._drawn += 1
            index = int(order[position])
            example = self._examples[index]
            session = SimulatedSession.start(index, example, self._options, self._random)
            if session.box is None or self._options.box_only:
                return session
            logits = self._base_answer(example, session.prompt(self.network.image_size))
            if session.answered(example.high == session.label, logits, self._options, self._random):
                return session

    def _groups(self) -> list[dict[str, Any]]:
        new: list[torch.nn.Parameter] = []
        old: list[torch.nn.Parameter] = []
        for name, parameter in self.network.trained_parameters().items():
            (new if name.startswith(("high.", "low.")) else old).append(parameter)
        return [
            {"params": old, "peak": self._options.rate, "start": 0},
            {"params": new, "peak": self._options.new_rate, "start": self._join},
        ]
