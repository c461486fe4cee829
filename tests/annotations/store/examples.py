"""Annotations to store: one of everything, and many that are random."""

import uuid

import shapely
from hypothesis import strategies as st

from wsisam_server.annotations.store import Content, Draft, Level, PathClass, Provenance, class_name
from wsisam_server.core.geometry import Box, FieldPair, Point, Window
from wsisam_server.core.prompt import PromptPoint, SlidePrompt

SLIDE = "5e" * 32
OTHER_SLIDE = "file:///C:/slides/only%20the%20client%20opens.ndpi"

SQUARE = shapely.box(10, 20, 30.03125, 40)
HOLED = shapely.Polygon([(10, 10), (90, 10), (90, 90), (10, 90)], [[(20, 20), (20, 40), (40, 40)]])
SHAPES = {
    "point": shapely.Point(0.1, 0.2),
    "points": shapely.MultiPoint([(1, 2), (3.5, 4)]),
    "line": shapely.LineString([(26096.35, 15240.5), (26230.6, 15580.39)]),
    "lines": shapely.MultiLineString([[(0, 0), (1, 1)], [(5, 5), (6, 7), (8, 8.01)]]),
    "polygon": SQUARE,
    "with a hole": HOLED,
    "parts": shapely.MultiPolygon([HOLED, shapely.box(100, 100, 101, 101)]),
    "off any grid": shapely.Point(1 / 3, 2 / 7).buffer(1.1),
    "outside the slide": shapely.box(-50.5, -3, -1, 7),
}

EVERYTHING = Content(
    slide_id=SLIDE,
    shape=HOLED,
    path_class=PathClass("Tumor: Positive", 0xFA3E3E),
    rgb=0,
    name="Drüse №1 🔬",
    project="Colon 2026",
    locked=True,
    measurements={"Area µm^2": 1 / 3, "Count": 4.0, "tiny": 5e-324, "huge": -1.7e308},
    metadata={"ANNOTATION_DESCRIPTION": "two\nlines", "empty": ""},
    provenance=Provenance(
        model="wsisam-lite",
        weights_hash="ab" * 32,
        prompt=SlidePrompt(
            (PromptPoint(Point(12.25, 1 / 3), positive=True), PromptPoint(Point(80, 80), positive=False)),
            Box(9.5, 9.5, 91, 91),
        ),
        field=FieldPair(Window(-3.75, 0.1, 0.7071067811865476, 256)),
        score=0.8125,
        levels=(Level(11.313708498984761, 1), Level(0.7071067811865476, 23)),
    ),
)


PICKED = Provenance(
    model="wsisam-lite",
    weights_hash="ab" * 32,
    prompt=SlidePrompt(
        (PromptPoint(Point(12.25, 30), positive=True, candidate=2), PromptPoint(Point(80, 1 / 3), positive=False)),
        shape=shapely.MultiPolygon([HOLED, shapely.box(95.03125, 5, 99, 9)]),
        candidate=3,
    ),
)
"""Of an outline that was begun with a shape, where its annotator chose among candidates."""


def content(**more):
    return Content(**{"slide_id": SLIDE, "shape": SQUARE, **more})


def draft(annotation_id=None, expected=0, **more):
    return Draft(annotation_id or uuid.uuid4(), content(**more), expected)


def request():
    return uuid.uuid4().hex


def same(first, second):
    """Whether two contents say the same; shapely compares shapes vertex by vertex."""
    return first == second and first.shape.equals_exact(second.shape, tolerance=0)


_number = st.floats(-(2.0**26), 2.0**26)
_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_points = st.lists(st.tuples(_number, _number), min_size=1, max_size=5, unique=True)
_boxes = st.tuples(_number, _number, st.floats(0.01, 1e6), st.floats(0.01, 1e6)).map(
    lambda b: shapely.box(b[0], b[1], min(b[0] + b[2], 2.0**26), min(b[1] + b[3], 2.0**26))
)


@st.composite
def _blobs(draw):
    radius, sides = draw(st.floats(0.5, 5000)), draw(st.integers(1, 30))
    blob = shapely.Point(draw(st.floats(-1e6, 1e6)), draw(st.floats(-1e6, 1e6))).buffer(radius, quad_segs=sides)
    return blob.difference(blob.buffer(-radius / 2)) if draw(st.booleans()) else blob


shapes = st.one_of(
    _points.map(shapely.MultiPoint),
    _points.map(lambda found: shapely.Point(found[0])),
    _points.filter(lambda found: len(found) > 1).map(shapely.LineString),
    _boxes.filter(lambda shape: shape.is_valid and shape.area > 0),
    _blobs().filter(lambda shape: shape.is_valid),
)
classes = st.none() | st.builds(PathClass, _text.filter(class_name), st.none() | st.integers(0, 0xFFFFFF))
prompts = st.builds(
    SlidePrompt,
    st.lists(st.builds(PromptPoint, st.builds(Point, _number, _number), st.booleans()), max_size=4).map(tuple),
    st.none() | st.tuples(st.floats(-1e6, 0), st.floats(0.001, 1e6)).map(lambda b: Box(b[0], b[0], b[1], b[1])),
)
provenances = st.builds(
    Provenance,
    model=_text,
    weights_hash=_text,
    prompt=st.none() | prompts,
    field=st.none() | st.builds(Window, _number, _number, st.floats(1e-3, 1e5), st.integers(1, 4096)).map(FieldPair),
    score=st.none() | _finite,
    levels=st.lists(
        st.builds(Level, st.floats(0, allow_infinity=False, exclude_min=True), st.integers(0, 2**31 - 1)), max_size=16
    ).map(tuple),
)
contents = st.builds(
    Content,
    slide_id=st.sampled_from([SLIDE, OTHER_SLIDE]),
    shape=shapes,
    path_class=classes,
    rgb=st.none() | st.integers(0, 0xFFFFFF),
    name=_text,
    project=st.sampled_from(["", "Colon", "Leber"]),
    locked=st.booleans(),
    measurements=st.dictionaries(_text, _finite, max_size=4),
    metadata=st.dictionaries(_text, _text, max_size=4),
    provenance=st.none() | provenances,
)
