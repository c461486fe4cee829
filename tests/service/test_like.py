"""Proposals that look like exemplars, over a real socket: by geometry, and by ids that the caller may read."""

import uuid

import pytest
import shapely

from support.server import DISCS, around, start, write_picture
from wsisam.v1 import annotations_pb2 as ann
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, OnSlide, ServerError, areas, geometry
from wsisam_server.service.identity import Role, TokenFile
from wsisam_server.wire import annotation_to_proto

WHOLE = shapely.box(0, 0, 900, 700)


def disc(name):
    x, y, radius = DISCS[name]
    return shapely.Point(x, y).buffer(radius)


def exemplar(shape, label=pb.EXEMPLAR_LABEL_POSITIVE, name=""):
    path_class = pb.PathClass(name=name) if name else None
    return pb.Exemplar(geometry=areas(shape), label=label, path_class=path_class)


def request(slide, *exemplars, **more):
    return pb.SegmentEverythingRequest(
        slide_id=slide.slide_id, region=areas(more.pop("region", WHOLE)), exemplars=exemplars, **more
    )


def test_answers_say_what_followed_from_the_exemplars(client, server, slide):
    before = server.encoder_runs
    answers = list(client.segment_everything(request(slide, exemplar(disc("a"), name="Disc"))))
    runs = server.encoder_runs - before
    assert runs == answers[0].windows_total // 2
    assert [answer.windows_done for answer in answers] == list(range(answers[0].windows_total + 1))
    assert not answers[0].likeness.HasField("expected_precision")
    likeness = answers[-1].likeness
    assert likeness.HasField("expected_precision")
    assert likeness.min_size < 120 < likeness.max_size
    proposals = [one for answer in answers for one in answer.proposals]
    assert proposals
    assert all(one.path_class.name == "Disc" for one in proposals)
    assert all(one.HasField("similarity") and one.prompt.HasField("box") for one in proposals)
    assert not any(geometry(one.outline.geometry).intersects(disc("a").buffer(-30)) for one in proposals)
    # The second round, with a decision.
    again = client.find_like(slide.slide_id, WHOLE, [disc("a"), geometry(proposals[0].outline.geometry)])
    assert server.encoder_runs == before + runs
    assert [one.similarity for one in again] == sorted((one.similarity for one in again), reverse=True)


def test_agreement_is_that_of_the_boxes_at_a_place(client, slide):
    def asked(least):
        filtered = pb.ProposalFilter(min_agreement=least)
        wanted = request(slide, exemplar(disc("a")), min_similarity=0, filter=filtered)
        return [one for answer in client.segment_everything(wanted) for one in answer.proposals]

    every, agreed = asked(0), asked(1)
    assert {round(one.agreement * 3) / 3 for one in every} <= {1 / 3, 2 / 3, 1}
    assert any(one.agreement < 1 for one in every)
    assert agreed
    assert all(one.agreement == 1 for one in agreed)


def test_without_exemplars_sizes_are_needed_as_before(client, slide):
    with pytest.raises(ServerError) as caught:
        list(client.segment_everything(request(slide)))
    assert (caught.value.reason, caught.value.violations[0].field) == ("INVALID_FIELD", "filter")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"exemplars": [pb.Exemplar(label=pb.EXEMPLAR_LABEL_POSITIVE)]}, "exemplars[0]"),
        ({"exemplars": [pb.Exemplar(geometry=areas(disc("a")))]}, "exemplars[0].label"),
        ({"exemplars": [pb.Exemplar(annotation_id="7", label=1)]}, "exemplars[0].annotation_id"),
        ({"exemplars": [exemplar(disc("a"))] * 1000}, "exemplars"),
        ({"exemplars": [exemplar(disc("a"), pb.EXEMPLAR_LABEL_NEGATIVE)]}, "exemplars"),
        ({"exemplars": [exemplar(shapely.box(-90, -90, -10, -10))]}, "exemplars[0]"),
        ({"exemplars": [exemplar(disc("a"))], "min_similarity": 2}, "min_similarity"),
        ({"exemplars": [exemplar(disc("a"))], "filter": pb.ProposalFilter(min_size=5)}, "filter"),
        ({"exemplars": [exemplar(disc("a"))], "filter": pb.ProposalFilter(min_agreement=2)}, "filter.min_agreement"),
    ],
)
def test_what_is_wrong_is_named_before_any_window_is_read(client, server, slide, change, field):
    before = server.encoder_runs
    wanted = request(slide, *change.pop("exemplars"), **change)
    with pytest.raises(ServerError) as caught:
        list(client.segment_everything(wanted))
    assert caught.value.reason == "INVALID_FIELD"
    assert caught.value.violations[0].field == field
    assert server.encoder_runs == before


@pytest.fixture
def lab(model, tmp_path):
    (tmp_path / "slides").mkdir()
    write_picture(tmp_path / "slides" / "discs.png")
    write_picture(tmp_path / "slides" / "other.png", 1)
    file = TokenFile(tmp_path / "tokens.json")
    tokens = {
        name: file.create(name, Role.ANNOTATOR, frozenset(projects), None)[1]
        for name, projects in (("anna", {"colon"}), ("berta", {"lung"}), ("carla", {"colon"}))
    }
    running, stop = start(
        model, tmp_path / "slides", store=str(tmp_path / "a.sqlite"), tokens=file.path, require_tokens=True
    )
    clients = {name: Client(running.target, token=token, timeout=120) for name, token in tokens.items()}
    yield running, clients
    for client in clients.values():
        client.close()
    stop()


def test_stored_exemplars_of_another_slide_for_those_who_may_read_them(lab):
    running, clients = lab
    slide, other = (clients["anna"].open_slide(str(running.root / name)) for name in ("discs.png", "other.png"))
    stored = str(uuid.uuid4())
    shape = annotation_to_proto.shape(disc("b"))
    drawn = ann.Annotation(
        id=stored, slide_id=other.slide_id, shape=shape, project="colon", path_class=pb.PathClass(name="Gland")
    )
    clients["anna"].annotations.Save(ann.AnnotationsSaveRequest(request_id="1", items=[ann.SaveItem(annotation=drawn)]))

    def asked(name):
        wanted = request(slide, pb.Exemplar(annotation_id=stored, label=pb.EXEMPLAR_LABEL_POSITIVE))
        return list(clients[name].segment_everything(wanted))

    for name in ("anna", "carla"):
        proposals = [one for answer in asked(name) for one in answer.proposals]
        # It lies on the other slide: here, the disc is found.
        assert any(
            geometry(one.outline.geometry).intersection(disc("b")).area > 0.5 * disc("b").area for one in proposals
        )
        assert {one.path_class.name for one in proposals} == {"Gland"}
    with pytest.raises(ServerError) as caught:
        asked("berta")
    assert (caught.value.status, caught.value.reason) == ("NOT_FOUND", "ANNOTATION_NOT_FOUND")


def test_exemplars_drawn_on_another_open_slide(lab):
    running, clients = lab
    client = clients["anna"]
    slide, other = (client.open_slide(str(running.root / name)) for name in ("discs.png", "other.png"))
    proposals = client.find_like(slide.slide_id, WHOLE, [OnSlide(other.slide_id, disc("b"))], path_class="Gland")
    # It lies on the other slide: here, the disc is found.
    assert any(geometry(one.outline.geometry).intersection(disc("b")).area > 0.5 * disc("b").area for one in proposals)
    assert {one.path_class.name for one in proposals} == {"Gland"}


def test_other_slides_that_cannot_be_read_are_named(client, slide):
    with pytest.raises(ServerError) as caught:
        client.find_like(slide.slide_id, WHOLE, [disc("a"), OnSlide("not-open", disc("a"))])
    assert (caught.value.status, caught.value.reason) == ("NOT_FOUND", "UNKNOWN_SLIDE_ID")
    pushed = client.open_slide("file:///only/here.svs", pb.PixelSource(width=900, height=700))
    with pytest.raises(ServerError) as caught:
        client.find_like(slide.slide_id, WHOLE, [disc("a"), OnSlide(pushed.slide_id, disc("a"))])
    assert caught.value.violations[0].field == "exemplars[1]"
    assert "pixel mode" in caught.value.violations[0].description


def test_a_click_is_answered_while_a_region_is_searched(client, slide):
    """The click comes between two windows."""
    x, y, _ = DISCS["a"]
    answers = client.segment_everything(request(slide, exemplar(shapely.Point(x, y).buffer(25))))
    total = next(answers).windows_total
    assert total >= 4
    next(answers)
    outline = client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a")))
    assert outline.geometry.polygons
    assert sum(1 for _ in answers) == total - 1
