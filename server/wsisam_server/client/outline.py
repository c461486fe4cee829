"""An answer with its prompt, for people who script: polygons, GeoJSON for QuPath, and how it was made."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from wsisam.v1 import annotations_pb2
from wsisam_server.annotations.formats import provenance
from wsisam_server.client.polygons import geometry
from wsisam_server.core.shapes import feature
from wsisam_server.wire import annotation_from_proto

if TYPE_CHECKING:
    from collections.abc import Mapping

    import shapely

    from wsisam.v1 import segmentation_pb2 as pb
    from wsisam_server.annotations.store import Provenance

SCORE = "WSI-SAM score"
"""The measurement that QuPath shows."""


class Outline:
    """What a server, or a model here, answered to one prompt.

    Attributes:
        prompt: the prompt.
        message: the answer as the contract has it.
        geometry: polygons in level-0 pixels; empty where nothing was found.
    """

    def __init__(self, prompt: pb.Prompt, message: pb.Outline) -> None:
        self.prompt = prompt
        self.message = message
        self.geometry: shapely.MultiPolygon = geometry(message.geometry)

    @property
    def score(self) -> float:
        """The overlap (IoU) with the object that is to be expected, 0 to 1."""
        return self.message.score

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return self.geometry.is_empty

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        """The geometry, for libraries that take GeoJSON's mappings."""
        return dict(self.geometry.__geo_interface__)

    def __repr__(self) -> str:
        return (
            f"Outline({len(self.geometry.geoms)} part(s), {self.geometry.area:.0f} px, score {self.score:.2f}, "
            f"{self.message.model})"
        )

    def provenance(self, candidate: pb.Candidate | None = None) -> Provenance:
        """How it was made, from which another model can make it again.

        Args:
            candidate: of one of the answer's candidates instead.
        """
        answer, prompt, refined = self.message, self.prompt, candidate is None
        if candidate is None and answer.candidates:
            candidate = answer.candidates[answer.chosen]
        number = 0 if candidate is None else candidate.number
        if number:  # the model's own answer needs no number
            prompt = type(prompt)()
            prompt.CopyFrom(self.prompt)
            prompt.candidate = number
        made = annotations_pb2.Provenance(
            model=answer.model,
            weights_hash=answer.weights_hash,
            prompt=prompt,
            field=answer.field,
            score=answer.score if candidate is None else candidate.score,
            levels=answer.levels if refined and len(answer.levels) > 1 else (),  # the others' borders are not
        )
        return annotation_from_proto.provenance(made, "provenance")

    def to_geojson(
        self,
        *,
        name: str | None = None,
        path_class: str | None = None,
        id: str | None = None,  # noqa: A002 - GeoJSON's own word
        metadata: Mapping[str, str] | None = None,
        measurements: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """The outline as a GeoJSON feature for QuPath, with the prompt, so that `wsisam replay` can ask it again.

        Args:
            name: what QuPath's annotation list shows.
            path_class: its class.
            id: a UUID; a new one if not given.
            metadata: more texts.
            measurements: more finite numbers.

        Raises:
            ValueError: it is empty.
        """
        return self.feature(
            self.geometry,
            self.provenance(),
            id=id,
            name=name,
            path_class=path_class,
            metadata=metadata,
            measurements=measurements,
        )

    @staticmethod
    def feature(
        shape: shapely.MultiPolygon,
        made: Provenance,
        *,
        id: str | None = None,  # noqa: A002 - GeoJSON's own word
        name: str | None = None,
        path_class: str | None = None,
        metadata: Mapping[str, str] | None = None,
        measurements: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """As `to_geojson`, of one of an answer's shapes."""
        score = {} if made.score is None else {SCORE: made.score}
        return feature(
            shape,
            id=id or str(uuid.uuid4()),
            name=name,
            classification=path_class,
            measurements={**score, **(measurements or {})},
            metadata={**provenance.to_metadata(made), **(metadata or {})},
        )
