"""Prompts in one field that wait together are answered together, by Ray Serve's batching."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ray import serve

from wsisam_server.inference.scheduler import LocalEngine, Priority, WorkItem

if TYPE_CHECKING:
    from wsisam_model import Embedding, Prediction, Prompt, WsiSam
    from wsisam_server.inference.scheduler import Device, QueueEntry


@dataclass(frozen=True, slots=True, eq=False)
class QueuedPrompt:
    """One prompt on a field's embeddings, as `LocalEngine` decodes it, with its queue entry."""

    high: Embedding
    low: Embedding | None
    prompt: Prompt
    entry: QueueEntry
    candidates: bool = False


class BatchingEngine(LocalEngine):
    """A local engine that decodes prompts in one field in one step, if they wait at the same time.

    There is no waiting time: prompts that arrive while a step runs form the next batch. Background prompts have
    batches of their own, so that no click shares a step with them.

    Args:
        model: loaded, on its device.
        device: what it shares with the other models there.
        most: prompts of one step.
    """

    def __init__(self, model: WsiSam, device: Device, most: int) -> None:
        super().__init__(model, device)
        gather = serve.batch(max_batch_size=most, batch_wait_timeout_s=0)
        self._urgent, self._background = gather(self._together), gather(self._together)

    async def _decode(
        self, high: Embedding, low: Embedding | None, prompt: Prompt, entry: QueueEntry, *, candidates: bool
    ) -> tuple[Prediction, float]:
        gathered = self._urgent if entry.priority < Priority.PREFETCH else self._background
        asked = QueuedPrompt(high, low, prompt, entry, candidates)
        outcome: tuple[Prediction, float] | Exception = await gathered(asked)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _together(self, asked: list[QueuedPrompt]) -> list[tuple[Prediction, float] | Exception]:
        """Outcomes in the order of what was asked; one field's error is not another's."""
        outcomes: dict[int, tuple[Prediction, float] | Exception] = {}
        fields: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for index, one in enumerate(asked):
            fields[id(one.high), id(one.low)].append(index)
        for indices in fields.values():
            try:
                predictions, spent = await self._decode_many([asked[index] for index in indices])
            except Exception as error:  # noqa: BLE001 - goes to those who asked
                outcomes.update(dict.fromkeys(indices, error))
            else:
                outcomes.update((i, (prediction, spent)) for i, prediction in zip(indices, predictions, strict=True))
        return [outcomes[index] for index in range(len(asked))]

    async def _decode_many(self, asked: list[QueuedPrompt]) -> tuple[list[Prediction], float]:
        first, prompts = asked[0], [one.prompt for one in asked]
        work_item = WorkItem(list(dict.fromkeys(one.entry for one in asked)))
        # Candidates cost little beside the decode: whoever did not want them gets them too, and they go no further.
        wanted = any(one.candidates for one in asked)
        predictions, spent = await self._device.run(
            work_item,
            lambda: self._model.decode_many(first.high, first.low, prompts, want_candidates=wanted),
        )
        pairs = zip(asked, predictions, strict=True)
        return [made if one.candidates else replace(made, candidates=()) for one, made in pairs], spent
