"""The models on disk, as a server's pool of models sees them."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import wsisam_model
from wsisam_model import WsiSamError, available_models
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.weights.errors import WeightsError
from wsisam_server.inference.weights.files import load_record
from wsisam_server.inference.weights.names import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from wsisam_model import Dtype, WsiSam
    from wsisam_server.inference.encoders import EncoderChoice
    from wsisam_server.inference.scheduler import AvailableModel, ModelInfo
    from wsisam_server.inference.weights.folder import WeightsFolder
    from wsisam_server.inference.weights.record import ModelRecord

_log = logging.getLogger(__name__)

SETTLED_SECONDS = 2.0
"""A folder that changed less than this ago is read again: its time stamp may not tell two changes apart."""

_SHARE = {"float32": 1.0, "float16": 0.5, "bfloat16": 0.5}
"""Of the bytes in float32."""


class ServedModels:
    """A `ModelSource`: what was added to a folder, and what is built in. A change on disk is seen with the next prompt.

    Args:
        folder: of the models.
        device: a torch device string.
        dtype: element type of the activations.
        only: names that may be asked; None for all.
        encoder: how their encoders are run; None for torch.
    """

    def __init__(
        self,
        folder: WeightsFolder,
        *,
        device: str = "cpu",
        dtype: Dtype = "float32",
        only: Collection[str] | None = None,
        encoder: EncoderChoice | None = None,
    ) -> None:
        self._folder = folder
        self._encoder = encoder
        self._device = device
        self._dtype: Dtype = dtype
        self._only = only
        self._built_in: dict[str, AvailableModel] = {}
        self._available_models: dict[str, AvailableModel] = {}
        self._changed: float | None = None
        self._complaints: dict[str, str] = {}

    def prepare(self, default: str) -> None:
        """See `ModelSource.prepare`. A built-in model keeps no record: what it is shows when it is loaded."""
        from wsisam_server.inference.scheduler import AvailableModel, ModelInfo  # noqa: PLC0415 - imports torch

        for listed in available_models():
            name = listed.name
            if name in BUILT_IN and listed.installed and name != default and self._may_be_asked(name):
                try:
                    model = wsisam_model.WsiSam.from_name(name)
                except WsiSamError as error:
                    self._complain(name, str(error))
                    continue
                self._built_in[name] = AvailableModel(
                    ModelInfo.of(model), self._in_memory(model.nbytes), listed.licence
                )
        self._changed = None

    def available_models(self) -> Mapping[str, AvailableModel]:
        """See `ModelSource.available_models`. Reads the folder only when its modification time is new."""
        try:
            changed = self._folder.path.stat().st_mtime
        except OSError:
            changed = 0.0  # no model was ever added
        if changed != self._changed or abs(time.time() - changed) < SETTLED_SECONDS:
            found = self._built_in | self._added()
            if found != self._available_models:
                self._available_models = found
            self._changed = changed
        return self._available_models

    def load(self, info: ModelInfo) -> WsiSam:
        """See `ModelSource.load`."""
        model = self._load(info)
        return model if self._encoder is None else self._encoder.apply(model)

    def _load(self, info: ModelInfo) -> WsiSam:
        name = info.name
        try:
            if name in self._built_in:
                return wsisam_model.WsiSam.from_name(name, device=self._device, dtype=self._dtype)
            if name not in self._folder.names() or _info(record := self._folder.record(name)) != info:
                raise WsiSamServerError(Reason.UNKNOWN_MODEL, model=name, available=", ".join(self.available_models()))
            return load_record(self._folder, record, device=self._device, dtype=self._dtype)
        except (WeightsError, WsiSamError) as error:
            raise WsiSamServerError(Reason.MODEL_DAMAGED, private=str(error), model=name) from error

    def _added(self) -> dict[str, AvailableModel]:
        from wsisam_server.inference.scheduler import AvailableModel  # noqa: PLC0415

        found = {}
        try:
            names = self._folder.names()
        except WeightsError as error:
            self._complain(str(self._folder.path), str(error))
            return {}
        for name in filter(self._may_be_asked, names):
            try:
                record = self._folder.record(name)
            except WeightsError as error:
                self._complain(name, str(error))
                continue
            found[name] = AvailableModel(_info(record), self._in_memory(record.nbytes), record.licence)
        return found

    def _may_be_asked(self, name: str) -> bool:
        return self._only is None or name in self._only

    def _in_memory(self, nbytes: int) -> int:
        return int(nbytes * _SHARE[self._dtype])

    def _complain(self, name: str, problem: str) -> None:
        """Writes a problem to the log, once."""
        if self._complaints.get(name) != problem:
            _log.warning("%s: not served: %s", name, problem)
            self._complaints[name] = problem


def _info(record: ModelRecord) -> ModelInfo:
    from wsisam_server.inference.scheduler import ModelInfo  # noqa: PLC0415

    return ModelInfo(
        name=record.name,
        description=record.description,
        image_size=record.image_size,
        weights_hash=record.weights_hash,
        uses_low=record.uses_low,
        settings=record.settings,
    )
