"""The patches of one object, encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsisam_model import Embedding, WsiSam
    from wsisam_server.geometry import SlideSize, Window
    from wsisam_server.slides import Slide


class Patches:
    """Reads and encodes windows of a slide, each once: prompts and variants share them.

    Args:
        model: encodes.
        slide: what the windows lie on.
    """

    def __init__(self, model: WsiSam, slide: Slide) -> None:
        self._model = model
        self._slide = slide
        self._embeddings: dict[Window, Embedding] = {}

    @property
    def size(self) -> SlideSize:
        """The slide's size."""
        return self._slide.info.size

    def __getitem__(self, window: Window) -> Embedding:
        """The embedding of a window."""
        if window not in self._embeddings:
            self._embeddings[window] = self._model.encode(self._slide.read(window))
        return self._embeddings[window]
