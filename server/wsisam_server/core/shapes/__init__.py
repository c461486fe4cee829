"""Shapes in slide coordinates: simplified, snapped to the grid, made valid, and the two forms in which they travel.

In: polygons, from a model or as people drew them. Out: valid polygons in bounded time (`GeometryRepairer`), their
integer form for the wire, and their GeoJSON for QuPath. It must never know a model, a message or a slide file.

Coordinates are level-0 pixels, x to the right, y down, pixel i covering [i, i + 1); vertices lie on a 1/32 px grid.
"""

from wsisam_server.core.shapes.encoding import decode, decode_many, encode, encode_many
from wsisam_server.core.shapes.flat import areas_of, flattened
from wsisam_server.core.shapes.geojson import collection, feature
from wsisam_server.core.shapes.geometry_repair import GeometryRepairer
from wsisam_server.core.shapes.polygons import STEP_PX, on_grid, oriented, polygonal
from wsisam_server.core.shapes.self_intersection import GeometryRepairError
from wsisam_server.core.shapes.validity import ValidityBudget, validity_problem

__all__ = [
    "STEP_PX",
    "GeometryRepairError",
    "GeometryRepairer",
    "ValidityBudget",
    "areas_of",
    "collection",
    "decode",
    "decode_many",
    "encode",
    "encode_many",
    "feature",
    "flattened",
    "on_grid",
    "oriented",
    "polygonal",
    "validity_problem",
]
