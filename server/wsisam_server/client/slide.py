"""A slide that a server has open, for its client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from wsisam.v1 import segmentation_pb2


class Slide:
    """A slide that a server has opened. Used as a context manager, it is closed at the end.

    Args:
        opened: what the server said of it.
        close: has the server free it, given its id.

    Attributes:
        slide_id: what requests name it by.
        width: of level 0 in pixels.
        height: of level 0 in pixels.
        downsamples: of each stored level, 1 first.
        source: whether the server reads the file, or the client sends pixels.
        mpp: microns per level-0 pixel, the mean of x and y; None where nobody says.
        mpp_x: along x, as the file says; None where it does not.
        mpp_y: along y.
    """

    def __init__(self, opened: segmentation_pb2.OpenSlideResponse, close: Callable[[str], None]) -> None:
        self.slide_id = opened.slide_id
        self.width, self.height = opened.width, opened.height
        self.downsamples = tuple(opened.downsamples)
        self.source = opened.source
        self.mpp = opened.mpp if opened.HasField("mpp") else None
        self.mpp_x = opened.mpp_x if opened.HasField("mpp_x") else None
        self.mpp_y = opened.mpp_y if opened.HasField("mpp_y") else None
        self._close = close

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Says that nobody here needs it any more: frees the pixels that were sent of a slide in pixel mode.

        Streams on such a slide end. A slide that the server reads itself is shared, and stays. May be called again.

        Raises:
            ServerError: the call failed.
        """
        self._close(self.slide_id)
