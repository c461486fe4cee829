"""A slide that a server has open: its outlines and annotations, with the words of a script."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from typing_extensions import Self

from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.annotations.store import AnnotationFilter, Content, Draft, PathClass, SlideRecord, listed
from wsisam_server.client.outline import Outline
from wsisam_server.client.prompts import prompt as made_prompt
from wsisam_server.core.geometry import SlideSize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    import shapely
    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.store import Annotation, Saved
    from wsisam_server.client.client import Client
    from wsisam_server.client.errors import ServerError
    from wsisam_server.client.prompts import Box, Point


class Slide:
    """A slide that a server has opened. Used as a context manager, it is closed at the end.

    Args:
        opened: what the server said of it.
        client: through which it was opened.
        uri: by which it was opened.

    Attributes:
        slide_id: what requests name it by.
        uri: by which it was opened.
        width: of level 0 in pixels.
        height: of level 0 in pixels.
        downsamples: of each stored level, 1 first.
        source: whether the server reads the file, or the client sends pixels.
        mpp: microns per level-0 pixel, the mean of x and y; None where nobody says.
        mpp_x: along x, as the file says; None where it does not.
        mpp_y: along y.
    """

    def __init__(self, opened: pb.OpenSlideResponse, client: Client, uri: str) -> None:
        self.slide_id = opened.slide_id
        self.uri = uri
        self.width, self.height = opened.width, opened.height
        self.downsamples = tuple(opened.downsamples)
        self.source = opened.source
        self.mpp = opened.mpp if opened.HasField("mpp") else None
        self.mpp_x = opened.mpp_x if opened.HasField("mpp_x") else None
        self.mpp_y = opened.mpp_y if opened.HasField("mpp_y") else None
        self._client = client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        size = f"{self.width} x {self.height} px"
        return f"Slide({self.uri!r}, {size}{'' if self.mpp is None else f', {self.mpp:.4g} mpp'})"

    def close(self) -> None:
        """Says that nobody here needs it any more: frees the pixels that were sent of a slide in pixel mode.

        Streams on such a slide end. A slide that the server reads itself is shared, and stays. May be called again.

        Raises:
            ServerError: the call failed.
        """
        self._client.close_slide(self.slide_id)

    def segment(
        self,
        box: Box | None = None,
        *,
        points: Iterable[Point] = (),
        shape: shapely.Polygon | shapely.MultiPolygon | None = None,
        commit: pb.Commit | None = None,
        model: str = "",
        downsample: float | None = None,
        options: pb.OutlineOptions | None = None,
    ) -> Outline:
        """The outline of one object, from a prompt in level-0 pixels.

        Args:
            box: (x0, y0, x1, y1), or a geometry about which it is drawn.
            points: (x, y) on the object, (x, y, False) outside.
            shape: a rough outline.
            commit: stores it before it is answered; see `commit`.
            model: its name; the server's default if empty.
            downsample: working scale, level-0 pixels a model pixel; by the prompt's size if not given.
            options: see the contract.

        Raises:
            ServerError: the call failed.
            ValueError: the prompt is none.
        """
        asked = made_prompt(box, points=points, shape=shape)
        request = pb.SegmentRequest(
            slide_id=self.slide_id,
            model=model,
            prompt=asked,
            options=options,
            field=None if downsample is None else pb.FieldChoice(downsample=downsample),
            commit=None if commit is None else self._seen_here(commit),
        )
        return Outline(asked, self._client.segment(request))

    def segment_batch(
        self,
        prompts: Sequence[pb.Prompt],
        *,
        commits: Sequence[pb.Commit] | None = None,
        model: str = "",
        options: pb.OutlineOptions | None = None,
    ) -> Iterator[tuple[int, Outline | ServerError]]:
        """The outlines of many objects, each as soon as it is ready: those of one window come together.

        Args:
            prompts: see `prompt`.
            commits: how each is stored; none is if not given.
            model: its name; the server's default if empty.
            options: for all; see the contract.

        Yields:
            The number of a prompt, from 0, with its outline or why it has none.

        Raises:
            ServerError: the call failed; see `Client.segment_batch`.
        """
        request = pb.SegmentBatchRequest(slide_id=self.slide_id, model=model, options=options)
        for number, asked in enumerate(prompts):
            kept = None if commits is None else self._seen_here(commits[number])
            request.items.add(id=str(number), prompt=asked, commit=kept)
        for answer in self._client.segment_batch(request):
            number = int(answer.id)
            if answer.outline is not None:
                yield number, Outline(prompts[number], answer.outline)
            elif answer.error is not None:
                yield number, answer.error

    def refine(
        self, prompts: Iterable[pb.Prompt], *, model: str = "", options: pb.OutlineOptions | None = None
    ) -> Iterator[Outline]:
        """The outlines of one object, prompt by prompt on one stream: each goes on from the answer before.

        Args:
            prompts: each says all that was said before, and more. The next one is taken when the one before was
                answered, so a generator may look at the answer.
            model: its name; the server's default if empty.
            options: for all; see the contract.

        Raises:
            ServerError: a prompt failed; the stream is then ended.
        """
        asked: list[pb.Prompt] = []

        def noted() -> Iterator[pb.Prompt]:
            for one in prompts:
                asked.append(one)
                yield one

        start = pb.Start(slide_id=self.slide_id, model=model, options=options)
        for number, answer in enumerate(self._client.refine(start, noted())):
            yield Outline(asked[number], answer)

    def annotations(
        self, *, path_class: str | None = None, project: str | None = None, author: str | None = None
    ) -> list[Annotation]:
        """The annotations that the server's store has on this slide, those deleted left out.

        Args:
            path_class: only of this class.
            project: only of this project.
            author: only last changed by this author.

        Raises:
            WsiSamServerError: of the store; or the server cannot be reached.
        """
        chosen = AnnotationFilter(slide_id=self.slide_id, path_class=path_class, project=project, author=author)
        return list(listed(self._client.store, chosen)[0].values())

    def save(
        self, shape: BaseGeometry, *, author: str = "", path_class: str | None = None, name: str = "", project: str = ""
    ) -> Saved:
        """Stores a shape as a new annotation.

        Args:
            shape: level-0 pixels.
            author: who says so; the token's user where there is one.
            path_class: its class.
            name: what QuPath's annotation list shows.
            project: what it belongs to.

        Raises:
            WsiSamServerError: of the store; or the server cannot be reached.
        """
        content = Content(
            self.slide_id,
            shape,
            path_class=None if path_class is None else PathClass(path_class),
            name=name,
            project=project,
        )
        record = SlideRecord(self.slide_id, (self.uri,), SlideSize(self.width, self.height))
        (saved,) = self._client.store.save(
            [Draft(uuid.uuid4(), content, 0)], author=author, request_id=uuid.uuid4().hex, slides=[record]
        )
        return saved

    def _seen_here(self, commit: pb.Commit) -> pb.Commit:
        if commit.uri:
            return commit
        said = pb.Commit()
        said.CopyFrom(commit)
        said.uri = self.uri
        return said
