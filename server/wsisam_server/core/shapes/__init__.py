"""Shapes in slide coordinates: simplified, snapped to the grid, made valid, and the two forms in which they travel.

What flows in: polygons, from a model or as people drew them. What flows out: valid ones, in bounded time (`Mender`),
their integer form for the wire, their GeoJSON for QuPath. It must never know what a model, a message or a slide file
is.

Coordinates are level-0 pixels, x to the right, y down, pixel i covering [i, i + 1); vertices lie on a 1/32 px grid.
"""

from wsisam_server.core.shapes.encoding import decode, decode_many, encode, encode_many
from wsisam_server.core.shapes.flat import areas_of, flattened
from wsisam_server.core.shapes.geojson import collection, feature
from wsisam_server.core.shapes.grid import STEP_PX
from wsisam_server.core.shapes.mending import Mender
from wsisam_server.core.shapes.parts import oriented, polygonal
from wsisam_server.core.shapes.tangle import TangledError
from wsisam_server.core.shapes.validity import Looks, problem

__all__ = [
    "STEP_PX",
    "Looks",
    "Mender",
    "TangledError",
    "areas_of",
    "collection",
    "decode",
    "decode_many",
    "encode",
    "encode_many",
    "feature",
    "flattened",
    "oriented",
    "polygonal",
    "problem",
]
