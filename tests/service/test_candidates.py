"""Candidates and shapes as clients ask for them: Segment, SegmentBatch, Interact, and what is stored."""

import pytest
import shapely

from service.test_interact import Stream
from support.dark_parts import DarkParts
from support.server import DISCS, around, clicks, iou, point
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import ServerError, areas, geometry

FOUR = pb.OutlineOptions(max_candidates=4)
X, Y, RADIUS = DISCS["a"]
ROUGH = shapely.Point(X + 6, Y).buffer(RADIUS, quad_segs=3)


@pytest.fixture
def decodes(monkeypatch):
    """The masks that went to the decoder, one for each run."""
    masks, decode = [], DarkParts.decode

    def noted(model, high, low, prompt, **how):
        masks.append(prompt.mask)
        return decode(model, high, low, prompt, **how)

    monkeypatch.setattr(DarkParts, "decode", noted)
    return masks


def request(slide, prompt, options=FOUR, **more):
    return pb.SegmentRequest(slide_id=slide.slide_id, prompt=prompt, options=options, **more)


def click(*, candidate=None, **where):
    mark = point(where.get("x", X), where.get("y", Y))
    if candidate is not None:
        mark.candidate = candidate
    return mark


def test_a_click_has_candidates_out_of_one_decode(client, slide, decodes):
    outline = client.segment(request(slide, clicks((X, Y, True))))
    assert len(decodes) == 1
    assert 2 <= len(outline.candidates) <= 4
    shapes = [geometry(one.geometry) for one in outline.candidates]
    assert [shape.area for shape in shapes] == sorted(shape.area for shape in shapes)
    chosen = outline.candidates[outline.chosen]
    assert (chosen.geometry, chosen.score, chosen.number) == (outline.geometry, outline.score, 0)
    assert all(shape.is_valid and shape.intersects(shapely.Point(X, Y)) for shape in shapes)
    for number, one in enumerate(shapes):
        for other in shapes[:number]:
            assert one.intersection(other).area < 0.92 * one.union(other).area


def test_without_asking_there_are_none(client, slide):
    prompt = clicks((X, Y, True))
    alone = client.segment(request(slide, prompt, None))
    assert (len(alone.candidates), alone.chosen) == (0, 0)
    assert alone.geometry == client.segment(request(slide, prompt)).geometry


def test_the_items_of_a_batch_have_some_too(client, slide):
    items = [pb.BatchItem(id=name, prompt=clicks((*DISCS[name][:2], True))) for name in DISCS]
    answers = client.segment_batch(pb.SegmentBatchRequest(slide_id=slide.slide_id, items=items, options=FOUR))
    assert all(len(one.outline.candidates) > 1 for one in answers)


def test_in_a_session_the_next_click_goes_on_from_the_one_that_is_seen(client, slide, decodes):
    stream = Stream(client, slide, options=FOUR)
    first = pb.Prompt(points=[click()])
    stream.prompt("disc", 1, first)
    seen = stream.next("outline").outline.candidates[-1]
    more = pb.Prompt(points=[click(), click(x=X + 20, candidate=seen.number)])
    stream.prompt("disc", 2, more)
    corrected = stream.next("outline").outline
    assert len(decodes) == 2
    assert (decodes[1] > 0).any()
    # the same prompt whole, as after a lost connection: what is not there is made again
    whole = client.segment(request(slide, more, field=pb.FieldChoice(high=corrected.field.high)))
    assert len(decodes) == 4
    assert (decodes[3] == decodes[1]).all()
    assert whole.geometry == corrected.geometry
    stream.finish()


def test_a_revision_has_options_of_its_own(client, slide):
    stream = Stream(client, slide, options=pb.OutlineOptions(max_candidates=3, tolerance=7))
    outlines = []
    for revision, options in enumerate((None, pb.OutlineOptions(), FOUR), 1):
        stream.prompt("disc", revision, clicks((X, Y, True)), options=options)
        outlines.append(stream.next("outline").outline)
    assert [outline.tolerance == 7 for outline in outlines] == [True, False, False]
    assert [bool(outline.candidates) for outline in outlines] == [True, False, True]
    stream.finish()


def test_the_candidate_that_is_meant_is_answered(client, slide):
    several = client.segment(request(slide, clicks((X, Y, True))))
    meant = several.candidates[-1]
    prompt = clicks((X, Y, True))
    prompt.candidate = meant.number
    assert client.segment(request(slide, prompt, None)).geometry == meant.geometry


@pytest.mark.parametrize("number", [4, 2**31])
def test_a_number_out_of_range_says_what_to_do(client, slide, number):
    prompt = pb.Prompt(points=[click(), click(x=X + 20, candidate=number)])
    with pytest.raises(ServerError) as refused:
        client.segment(request(slide, prompt))
    assert refused.value.reason == "UNKNOWN_CANDIDATE"
    assert refused.value.details["field"] == "prompt.points[1].candidate"
    assert "leave it unset" in refused.value.text


@pytest.mark.parametrize("number", [0, 5])
def test_so_does_a_number_of_candidates(client, slide, number):
    with pytest.raises(ServerError) as refused:
        client.segment(request(slide, around("a"), pb.OutlineOptions(max_candidates=number)))
    assert (refused.value.reason, refused.value.details["field"]) == ("INVALID_FIELD", "options.max_candidates")


def test_a_rough_outline_is_a_prompt(client, slide):
    rough = iou(ROUGH, "a")
    found = geometry(client.segment(request(slide, pb.Prompt(shape=areas(ROUGH)), None)).geometry)
    assert iou(found, "a") > max(rough, 0.85)


def test_with_a_click_it_is_as_one_after_the_other(client, slide):
    stream = Stream(client, slide)
    stream.prompt("disc", 1, pb.Prompt(shape=areas(ROUGH)))
    first = stream.next("outline").outline
    both = pb.Prompt(shape=areas(ROUGH), points=[click(x=X - 50)])
    stream.prompt("disc", 2, both)
    second = stream.next("outline").outline
    assert second.field == first.field
    assert client.segment(request(slide, both, None)).geometry == second.geometry
    stream.finish()


MANY = geo.MultiPolygon(polygons=[geo.Polygon(rings=[geo.Ring(deltas=[32, 0, 0, 32] * 250_000)])])


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (geo.MultiPolygon(), "INVALID_FIELD"),
        (geo.MultiPolygon(polygons=[geo.Polygon()]), "INVALID_FIELD"),
        (geo.MultiPolygon(polygons=[geo.Polygon(rings=[geo.Ring(deltas=[32, 32, 32])])]), "INVALID_FIELD"),
        (areas(shapely.box(5000, 5000, 5100, 5100)), "PROMPT_OUTSIDE_SLIDE"),
        (MANY, "INVALID_FIELD"),
    ],
)
def test_a_shape_of_no_use_is_refused(client, slide, shape, reason):
    with pytest.raises(ServerError) as refused:
        client.segment(request(slide, pb.Prompt(shape=shape), None))
    assert refused.value.reason == reason
    if reason == "INVALID_FIELD":
        assert refused.value.details["field"].startswith("prompt.shape")
