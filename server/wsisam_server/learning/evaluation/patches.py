"""The patches of one object, encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsisam_server.core.geometry import Window

if TYPE_CHECKING:
    from wsisam_model import Embedding, Role, WsiSam
    from wsisam_server.core.geometry import SlideSize
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
        self._embeddings: dict[tuple[Window, bool], Embedding] = {}

    @property
    def size(self) -> SlideSize:
        """The slide's size."""
        return self._slide.info.size

    def high(self, window: Window) -> Embedding:
        """The embedding of a high-resolution window."""
        return self._embedding(window, middle=False)

    def low(self, window: Window) -> Embedding:
        """The embedding of a low-resolution window, or of as much of it as the model reads."""
        return self._embedding(window, middle=self._model.encodes_middle("low"))

    def _embedding(self, window: Window, *, middle: bool) -> Embedding:
        key = window, middle
        if key not in self._embeddings:
            roles: tuple[Role, ...] | None = ("low",) if middle else None
            side = self._model.settings.low_side(window.size) if middle else window.size
            part = Window.about(window.center, window.downsample, side)
            self._embeddings[key] = self._model.encode(self._slide.read(part), roles=roles)
        return self._embeddings[key]
