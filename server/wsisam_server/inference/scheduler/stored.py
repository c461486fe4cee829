"""A model's encodings on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wsisam_model import EmbeddingError, EncoderOutput
from wsisam_server.inference.embeddings import EntryKey
from wsisam_server.inference.embeddings.store import OVERHEAD

if TYPE_CHECKING:
    from wsisam_model import Role, WsiSam
    from wsisam_server.core.geometry import Window
    from wsisam_server.inference.embeddings import EmbeddingStore

FORM: Final = 2
"""Counted up when the same weights make something else of the same slide: when windows are read, normalised, encoded or
written in another way. What older versions wrote is then not found, and goes as it gets old."""

_HEADER_BYTES: Final = 512
"""At most, of safetensors for four tensors."""


class StoredFeatures:
    """What one model's encoder made of slides' windows. Blocks; safe from several threads.

    The encoder's raw output is kept, not what is prepared of it for decoding: that takes a tenth of the time and five
    times the room. So settings and roles do not matter to an entry: HR and LR images share them, unless of LR images
    the middle alone is encoded. Neither does the device, nor whether torch or OpenVINO ran the encoder; numbers that a
    GPU made may differ in their last digits from a CPU's. Nor do weights that were trained for a frozen encoder: where
    they are of its last stage, that stage's input is kept too, and new weights go on from there.

    An encoder that runs in another number type than its model has entries of its own. Where it has none, it takes what
    was made in the model's type: that is what it is measured by.

    Args:
        model: made the features, or takes them.
        store: holds them.
    """

    def __init__(self, model: WsiSam, store: EmbeddingStore) -> None:
        self._model = model
        self._store = store

    def nbytes(self, role: Role) -> int:
        """Bytes on the disk of one entry for a role, at most."""
        features = self._model.features_nbytes(middle=self._model.encodes_middle(role))
        return features + OVERHEAD + _HEADER_BYTES

    def has(self, slide_id: str, window: Window, role: Role) -> bool:
        """Whether there is such an entry; it may yet turn out to be damaged."""
        return any(self._key(slide_id, window, role, one) in self._store for one in self._types())

    def load(self, slide_id: str, window: Window, role: Role) -> EncoderOutput | None:
        """What was saved, on the CPU; None where there is nothing of use.

        Its embedding may be of another last stage, see `WsiSam.with_own_last_stage`.
        """
        for number_type in self._types():
            features = self._loaded(self._key(slide_id, window, role, number_type), role)
            if features is not None:
                return features._replace(number_type=number_type)
        return None

    def _loaded(self, key: EntryKey, role: Role) -> EncoderOutput | None:
        data = self._store.get(key)
        if data is None:
            return None
        try:
            features = EncoderOutput.from_bytes(data)
            self._model.check(features, middle=self._model.encodes_middle(role))
        except EmbeddingError as error:
            self._store.discard(key, str(error))
            return None
        return features if self._model.can_use(features) else None

    def save(self, slide_id: str, window: Window, role: Role, features: EncoderOutput) -> None:
        """Writes the features of a window in its role, of a slide whose id is the fingerprint of its content.

        Raises:
            OSError: they cannot be written.
        """
        # An entry that lacks the last stage's input, or whose embedding is of another one, is to make room.
        key = self._key(slide_id, window, role, features.number_type)
        self._store.put(key, features.to_bytes(), anew=features.frozen is not None)

    def _types(self) -> list[str]:
        """Number types whose entries are of use, the one that the encoder is run in first."""
        return list(dict.fromkeys((self._model.encoder_runner.number_type, "")))

    def _key(self, slide_id: str, window: Window, role: Role, number_type: str) -> EntryKey:
        # Floats as hexadecimal: exact.
        place = " ".join(float(value).hex() for value in (window.x, window.y, window.downsample))
        about = f"features {FORM} {self._model.encoder_hash} {self._model.dtype} {place} {window.size}"
        if number_type:
            about += f" {number_type}"
        if self._model.encodes_middle(role):
            about += " middle"
        return EntryKey(slide_id, about)
