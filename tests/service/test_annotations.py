"""The Annotations service over a real socket, on a real store."""

import math
import re
import time
import uuid

import grpc
import pytest

from support.annotations import SLIDE, Caller, Serving, area, drawn, new, path_class
from wsisam.v1 import annotations_pb2 as pb
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as seg
from wsisam_server.client import ServerError, server_error
from wsisam_server.core.settings import Limits

pytestmark = pytest.mark.slow

LIMITS = Limits(annotations_per_request=2000, vertices_per_annotation=20_000)


@pytest.fixture
def running(tmp_path):
    serving = Serving(str(tmp_path / "annotations.sqlite"), LIMITS)
    yield serving
    serving.stop()


@pytest.fixture
def caller(running):
    caller = Caller(running.target)
    yield caller
    caller.close()


def refuses(status, reason, call, *args, **more):
    with pytest.raises(ServerError) as caught:
        call(*args, **more)
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert len(caught.value.text) > 30
    assert not re.search(r"<\w+>", caught.value.text)  # every detail that the text wants was given
    return caught.value


def test_an_annotation_comes_back_as_it_was_saved(caller):
    sent = new(
        path_class=path_class("Tumor: Positive", 0xFF00AA),
        rgb=0,
        name="Drüse",
        project="Colon",
        locked=True,
        measurements={"Area µm^2": 12.5},
        metadata={"key": "text"},
        provenance=pb.Provenance(
            model="wsisam-lite",
            weights_hash="ab" * 32,
            prompt=seg.Prompt(
                points=[seg.PromptPoint(position=geo.Point(x=1.5, y=2), label=seg.POINT_LABEL_NEGATIVE)],
                box=geo.Box(x0=1, y0=2, x1=3, y1=4),
            ),
            field=geo.Field(
                high=geo.Window(x=-1, y=2.5, downsample=0.5, size=256),
                low=geo.Window(x=-65, y=-61.5, downsample=1, size=256),
            ),
            score=0.25,
            levels=[seg.Level(downsample=8, windows=1), seg.Level(downsample=0.5, windows=40)],
        ),
    )
    (saved,) = caller.save(
        sent, slides=[pb.AnnotatedSlide(slide_id=SLIDE, uris=["file:///a"], width=9, height=8)]
    ).saved
    assert (saved.id, saved.revision, saved.unchanged) == (sent.id, 1, False)
    reply = caller.get(sent.id)
    found = reply.annotation
    assert (found.author, found.creator, found.change) == ("anna", "anna", pb.CHANGE_KIND_SAVED)
    assert abs(found.create_time.ToSeconds() - time.time()) < 60
    assert found.create_time == found.update_time
    assert reply.slide == pb.AnnotatedSlide(slide_id=SLIDE, uris=["file:///a"], width=9, height=8)
    assert uuid.UUID(reply.store_id)
    for field in ("author", "creator", "change", "create_time", "update_time", "revision"):
        found.ClearField(field)
    assert found == sent


@pytest.mark.parametrize(
    "shape",
    [
        area(),
        drawn(pb.SHAPE_KIND_POINTS, [[0.1, 0.2]]),
        drawn(pb.SHAPE_KIND_POINTS, [[0.1, 0.2, 3, 4]]),
        drawn(pb.SHAPE_KIND_LINES, [[26096.35, 15240.5, 26230.6, 15580.39]]),
        drawn(pb.SHAPE_KIND_LINES, [[0, 0, 1, 1.7]], [[5, 5, 6, 6, 7, 5]]),
        drawn(
            pb.SHAPE_KIND_AREAS, [[0, 0, 9.01, 0, 9.01, 9.01, 0, 9.01], [2, 2, 2, 3, 3, 3]], [[20, 20, 30, 20, 30, 31]]
        ),
        drawn(pb.SHAPE_KIND_AREAS, [[-67e6, -67e6, 67e6, -67e6, 67e6, 67e6]]),
    ],
    ids=["area", "point", "points", "line", "lines", "areas", "larger than 32 bits"],
)
def test_every_shape_comes_back_exactly(caller, shape):
    sent = new(shape=shape)
    caller.save(sent)
    assert caller.get(sent.id).annotation.shape == shape


def test_an_area_on_the_grid_comes_back_in_the_compact_form(caller):
    sent = new(shape=drawn(pb.SHAPE_KIND_AREAS, [[10, 20, 30, 20, 30, 40, 10, 40]]))
    caller.save(sent)
    assert caller.get(sent.id).annotation.shape == area()


def test_what_was_read_can_be_edited_and_sent_back(caller):
    sent = new(name="old")
    caller.save(sent)
    read = caller.get(sent.id).annotation
    read.name = "new"
    read.ClearField("path_class")
    (saved,) = caller.save(read, author="ben").saved
    found = caller.get(sent.id).annotation
    assert (found.name, found.revision, found.author, found.creator) == ("new", saved.revision, "ben", "anna")
    assert caller.get(sent.id, 1).annotation.name == "old"
    # Sent once more as it is, nothing happens.
    (again,) = caller.save(found).saved
    assert (again.revision, again.unchanged) == (2, True)


def test_a_conflict_has_both_versions(caller):
    sent = new(name="first")
    caller.save(sent)
    caller.save(new(sent.id, revision=1, name="hers"), author="ben")
    mine = new(sent.id, revision=1, name="mine", shape=area(x1=50))
    beside = new()
    error = refuses("ABORTED", "REVISION_CONFLICT", caller.save, beside, mine)
    assert error.details["annotation_id"] == sent.id
    assert (error.details["current"], error.details["expected"]) == ("2", "1")
    (conflict,) = error.conflicts.conflicts
    assert not conflict.shortened
    assert (conflict.sent.name, conflict.sent.revision, conflict.sent.shape) == ("mine", 1, area(x1=50))
    assert (conflict.stored.name, conflict.stored.author, conflict.stored.shape) == ("hers", "ben", area())
    refuses("NOT_FOUND", "ANNOTATION_NOT_FOUND", caller.get, beside.id)


def test_conflicts_of_any_size_fit_into_a_status(caller):
    many = [new(name="x" * 50, shape=drawn(pb.SHAPE_KIND_LINES, [[*map(float, range(2000))]])) for _ in range(60)]
    caller.save(*many)
    for one in many:
        one.name = "changed"
    error = refuses("ABORTED", "REVISION_CONFLICT", caller.save, *many)
    assert error.conflicts.total == 60
    assert 5 < len(error.conflicts.conflicts) < 60
    assert error.conflicts.ByteSize() <= 4000
    first = error.conflicts.conflicts[0]
    assert first.shortened
    assert not first.stored.HasField("shape")
    assert (first.stored.id, first.stored.revision, first.sent.name) == (many[0].id, 1, "changed")


def test_a_conflict_whose_texts_fit_into_no_header_names_what_it_is_about(caller):
    sent = new(name="x" * 5000)
    caller.save(sent)
    sent.name = "y" * 5000
    error = refuses("ABORTED", "REVISION_CONFLICT", caller.save, sent)
    (conflict,) = error.conflicts.conflicts
    assert conflict.shortened
    assert (conflict.stored.id, conflict.stored.revision) == (sent.id, 1)
    assert (conflict.sent.id, conflict.sent.revision) == (sent.id, 0)


def test_a_repeated_request_is_done_once(caller):
    sent = new()
    first = caller.save(sent, request_id="once")
    assert caller.save(sent, request_id="once") == first
    refuses("ALREADY_EXISTS", "REQUEST_ID_REUSED", caller.save, new(), request_id="once")
    caller.delete(sent.id, 1, request_id="gone")
    assert caller.delete(sent.id, 1, request_id="gone").saved[0].revision == 2


def test_delete_restore_and_history(caller):
    sent = new(name="a")
    caller.save(sent)
    refuses("ABORTED", "REVISION_CONFLICT", caller.delete, sent.id, 7)
    (deleted,) = caller.delete(sent.id, 1, author="ben").saved
    assert caller.get(sent.id).annotation.change == pb.CHANGE_KIND_DELETED
    error = refuses("ABORTED", "REVISION_CONFLICT", caller.restore, sent.id, 1)
    assert error.conflicts.conflicts[0].stored.change == pb.CHANGE_KIND_DELETED
    (restored,) = caller.restore(sent.id, deleted.revision).saved
    caller.save(new(sent.id, revision=restored.revision, name="b"))
    caller.restore(sent.id, 4, to_revision=1)
    history = caller.history(sent.id)
    assert [(one.revision, one.name, one.author) for one in history] == [
        (1, "a", "anna"),
        (2, "a", "ben"),
        (3, "a", "anna"),
        (4, "b", "anna"),
        (5, "a", "anna"),
    ]
    assert [one.change for one in history] == [
        pb.CHANGE_KIND_SAVED,
        pb.CHANGE_KIND_DELETED,
        pb.CHANGE_KIND_RESTORED,
        pb.CHANGE_KIND_SAVED,
        pb.CHANGE_KIND_RESTORED,
    ]
    assert [one.revision for one in caller.history(sent.id, since=3)] == [4, 5]
    assert caller.history(sent.id, since=5) == []
    refuses("NOT_FOUND", "ANNOTATION_NOT_FOUND", caller.restore, sent.id, 5, to_revision=77)


def test_listings_by_everything(caller):
    a, b, c = new(project="P"), new(path_class=path_class("Tumor")), new(shape=area(1000, 1000, 1010, 1010))
    other = new(slide_id="file:///only%20here.tif", project="P")
    caller.save(a, b)
    caller.save(c, other, author="ben", slides=[pb.AnnotatedSlide(slide_id=SLIDE, uris=["file:///a"])])
    assert caller.ids() == [a.id, b.id, c.id, other.id]
    assert caller.ids(slide_id=SLIDE) == [a.id, b.id, c.id]
    assert caller.ids(uri="file:///a") == [a.id, b.id, c.id]
    assert caller.ids(uri="") == []
    assert caller.ids(project="P") == [a.id, other.id]
    assert caller.ids(project="", author="ben") == [c.id]
    assert caller.ids(path_class="Tumor") == [b.id]
    assert caller.ids(path_class="", slide_id=SLIDE) == [a.id, c.id]
    assert caller.ids(region=geo.Box(x0=999, y0=999, x1=1001, y1=1001)) == [c.id]
    assert caller.ids(since=2) == [c.id, other.id]
    caller.delete(b.id, 2)
    assert b.id not in caller.ids()
    assert b.id in caller.ids(include_deleted=True)


def test_a_list_always_says_where_to_go_on(caller):
    assert [(list(message.annotations), message.revision) for message in caller.listed()] == [([], 0)]
    caller.save(*[new() for _ in range(5)])
    (message,) = caller.listed(project="nothing")
    assert (len(message.annotations), message.revision) == (0, 5)
    found, since = [], 0
    while since < 5:
        (message,) = caller.listed(since=since, limit=2)
        assert len(message.annotations) <= 2
        found += [one.revision for one in message.annotations]
        since = message.revision
    assert found == [1, 2, 3, 4, 5]
    (end,) = caller.listed(since=5)
    assert (len(end.annotations), end.revision) == (0, 5)


def test_long_lists_come_in_messages_that_every_client_takes(caller):
    long = drawn(pb.SHAPE_KIND_LINES, [[0.5 * number for number in range(20_000)]])
    caller.save(*[new(shape=long) for _ in range(30)], *[new() for _ in range(700)])
    huge = new(shape=drawn(pb.SHAPE_KIND_LINES, [[float(number) for number in range(40_000)]]))
    caller.save(huge)
    messages = caller.listed()
    assert len(messages) > 4
    assert max(message.ByteSize() for message in messages) < 1.1 * 1024 * 1024
    revisions = [one.revision for message in messages for one in message.annotations]
    assert revisions == list(range(1, 732))
    assert [slide.slide_id for message in messages for slide in message.slides] == [SLIDE]
    assert all(message.revision == message.annotations[-1].revision for message in messages if message.annotations)
    assert messages[-1].revision == 731


# Fields by themselves


def test_a_new_name_does_not_send_the_shape_again(caller):
    sent = new(name="old", project="Colon", measurements={"Area": 4}, metadata={"a": "b"}, rgb=7)
    caller.save(sent)
    (saved,) = caller.save(
        pb.Annotation(id=sent.id, revision=1, name="new", metadata={"c": "d"}), fields=["name"]
    ).saved
    assert (saved.revision, saved.unchanged) == (2, False)
    found = caller.get(sent.id).annotation
    assert (found.name, found.project, found.shape, found.slide_id) == ("new", "Colon", sent.shape, SLIDE)
    assert dict(found.metadata) == {"a": "b"}, "it was not named, so it was not looked at"
    # Maps are replaced whole; what is named and unset goes.
    caller.save(pb.Annotation(id=sent.id, revision=2, metadata={"c": "d"}), fields=["metadata", "rgb", "measurements"])
    found = caller.get(sent.id).annotation
    assert (dict(found.metadata), found.HasField("rgb"), dict(found.measurements)) == ({"c": "d"}, False, {})
    caller.save(pb.Annotation(id=sent.id, revision=3, shape=area(x1=90)), fields=["shape"])
    assert caller.get(sent.id).annotation.shape == area(x1=90)
    assert caller.get(sent.id).annotation.name == "new"


@pytest.mark.parametrize("fields", [[], ["*"]])
def test_a_mask_that_names_nothing_or_all_saves_all(caller, fields):
    sent = new(name="old", rgb=7)
    caller.save(sent, fields=fields)
    caller.save(new(sent.id, revision=1), fields=fields)
    found = caller.get(sent.id).annotation
    assert (found.name, found.HasField("rgb")) == ("", False)
    refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.save, new(sent.id, revision=2, shape=None), fields=fields)


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "id",
        "revision",
        "slide_id",
        "author",
        "create_time",
        "change",
        "path_class.name",
        "metadata.a",
        "*,name",
    ],
)
def test_masks_that_are_refused(caller, path):
    sent = new()
    caller.save(sent)
    error = refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.save, new(sent.id, revision=1), fields=path.split(","))
    assert error.details["field"] == "items[0].update_mask"
    assert caller.get(sent.id).annotation.revision == 1


def test_what_a_mask_needs_is_named(caller):
    sent = new()
    caller.save(sent)
    unknown = pb.Annotation(id=str(uuid.uuid4()), revision=1, name="a")
    refuses("NOT_FOUND", "ANNOTATION_NOT_FOUND", caller.save, unknown, fields=["name"])
    for annotation, fields, field in (
        (pb.Annotation(id=sent.id, revision=1), ["shape"], "items[0].annotation.shape"),
        (pb.Annotation(id="no uuid", revision=1), ["name"], "items[0].annotation.id"),
        (pb.Annotation(id=sent.id, name="a"), ["name"], "update_mask"),
        (pb.Annotation(id=sent.id, revision=1, name="a", slide_id="another"), ["name"], "slide_id"),
    ):
        error = refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.save, annotation, fields=fields)
        assert error.details["field"] == field


def test_a_conflict_of_fields_has_what_was_sent_of_them(caller):
    sent = new(name="old")
    caller.save(sent)
    caller.save(pb.Annotation(id=sent.id, revision=1, name="hers"), fields=["name"])
    mine = pb.Annotation(id=sent.id, revision=1, path_class=path_class("Tumor"))
    error = refuses("ABORTED", "REVISION_CONFLICT", caller.save, mine, fields=["path_class"])
    (conflict,) = error.conflicts.conflicts
    assert conflict.sent == mine
    assert (conflict.stored.name, conflict.stored.revision) == ("hers", 2)


def test_a_repeated_request_must_name_the_same_fields(caller):
    sent = new(name="old")
    caller.save(sent)
    mine = pb.Annotation(id=sent.id, revision=1, name="new")
    first = caller.save(mine, fields=["name"], request_id="once")
    caller.save(pb.Annotation(id=sent.id, revision=2, name="newer"), fields=["name"])
    assert caller.save(mine, fields=["name"], request_id="once") == first
    for fields in (["name", "rgb"], ["rgb"]):
        refuses("ALREADY_EXISTS", "REQUEST_ID_REUSED", caller.save, mine, fields=fields, request_id="once")


def test_trials_change_nothing(caller):
    sent = new()
    (said,) = caller.save(sent, validate_only=True).saved
    assert (said.id, said.revision, said.unchanged) == (sent.id, 0, False)
    assert caller.ids() == []
    caller.save(sent)
    assert caller.save(sent, validate_only=True).saved[0].unchanged
    assert caller.delete(sent.id, 1, validate_only=True).saved[0].revision == 1
    assert caller.restore(sent.id, 1, validate_only=True).saved[0].unchanged
    assert len(caller.history(sent.id)) == 1
    refuses("ABORTED", "REVISION_CONFLICT", caller.delete, sent.id, 7, validate_only=True)


# Pages


def revisions_of(pages):
    return [one.revision for page in pages for one in page.revisions]


def test_revisions_come_in_pages(caller):
    first, second = new(name="a"), new(project="P")
    caller.save(first, second)
    for number in range(1, 5):
        caller.save(
            pb.Annotation(id=first.id, revision=number if number == 1 else number + 1, name=f"{number}"),
            fields=["name"],
        )
    pages = caller.pages("ListRevisions", pb.AnnotationsListRevisionsRequest(id=first.id, page_size=2))
    assert [len(page.revisions) for page in pages] == [2, 2, 1]
    assert revisions_of(pages) == [1, 3, 4, 5, 6]
    assert {page.slides[0].slide_id for page in pages} == {SLIDE}
    assert {page.store_id for page in pages} == {caller.get(first.id).store_id}
    whole = caller.pages("ListRevisions", pb.AnnotationsListRevisionsRequest(page_size=4))
    assert (revisions_of(whole), whole[-1].revision) == ([1, 2, 3, 4, 5, 6], 6)
    # What came of the project, and when it was moved out of it.
    caller.save(pb.Annotation(id=second.id, revision=2), fields=["project"])
    of_project = pb.AnnotationsListRevisionsRequest(filter=pb.AnnotationFilter(project="P"))
    assert revisions_of(caller.pages("ListRevisions", of_project)) == [2, 7]
    of_project.since = 2
    (page,) = caller.pages("ListRevisions", of_project)
    assert (revisions_of([page]), page.revision) == ([7], 7)
    of_project.since = 7
    (page,) = caller.pages("ListRevisions", of_project)
    assert (revisions_of([page]), page.revision, len(page.slides)) == ([], 7, 0)


def test_a_page_fits_into_a_message_that_every_client_takes(caller):
    long = drawn(pb.SHAPE_KIND_LINES, [[0.5 * number for number in range(20_000)]])
    caller.save(*[new(shape=long) for _ in range(30)])
    pages = caller.pages("ListRevisions", pb.AnnotationsListRevisionsRequest(page_size=1000))
    assert len(pages) > 4
    assert max(page.ByteSize() for page in pages) < 1.1 * 1024 * 1024
    assert revisions_of(pages) == list(range(1, 31))


def test_page_tokens(caller):
    sent = new()
    caller.save(sent, *[new(slide_id=f"{number}") for number in range(3)])
    request = pb.AnnotationsListRevisionsRequest(page_size=1)
    token = caller.call("ListRevisions", request).next_page_token
    request.page_token, request.page_size = token, 3
    assert revisions_of([caller.call("ListRevisions", request)]) == [2, 3, 4], "the size of a page may change"
    slides = pb.AnnotationsListSlidesRequest(page_size=1)
    of_slides = caller.call("ListSlides", slides).next_page_token
    others = [
        pb.AnnotationsListRevisionsRequest(id=sent.id, page_token=token),
        pb.AnnotationsListRevisionsRequest(since=1, page_token=token),
        pb.AnnotationsListRevisionsRequest(filter=pb.AnnotationFilter(project=""), page_token=token),
        pb.AnnotationsListRevisionsRequest(page_token=of_slides),
        pb.AnnotationsListRevisionsRequest(page_token="x"),
        pb.AnnotationsListRevisionsRequest(page_token="é"),
        pb.AnnotationsListRevisionsRequest(page_token=token[:-4]),
    ]
    for other in others:
        assert (
            refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.call, "ListRevisions", other).details["field"]
            == "page_token"
        )
    error = refuses(
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        caller.call,
        "ListSlides",
        pb.AnnotationsListSlidesRequest(page_token=token),
    )
    assert error.details["field"] == "page_token"


def test_lists_that_are_refused(caller):
    for method, request, field in (
        ("ListRevisions", pb.AnnotationsListRevisionsRequest(page_size=-1), "page_size"),
        ("ListSlides", pb.AnnotationsListSlidesRequest(page_size=-1), "page_size"),
        ("ListSlides", pb.AnnotationsListSlidesRequest(slide_ids=["a"] * 1001), "slide_ids"),
        ("ListRevisions", pb.AnnotationsListRevisionsRequest(since=-1), "since"),
        (
            "ListRevisions",
            pb.AnnotationsListRevisionsRequest(id=str(uuid.uuid4()), filter=pb.AnnotationFilter(project="")),
            "filter",
        ),
    ):
        assert refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.call, method, request).details["field"] == field
    sent = new()
    caller.save(sent)
    for request in (
        pb.AnnotationsListRevisionsRequest(since=2),
        pb.AnnotationsListRevisionsRequest(id=sent.id, since=2),
    ):
        refuses("OUT_OF_RANGE", "REVISION_AHEAD", caller.call, "ListRevisions", request)


def test_slides_come_in_pages(caller):
    names = ["c", "a", "b", "d"]
    for name in names:
        caller.save(
            new(slide_id=name), slides=[pb.AnnotatedSlide(slide_id=name, uris=[f"file:///{name}"], width=9, height=8)]
        )
    gone, second = new(slide_id="a"), new(slide_id="a")
    caller.save(gone, second)
    caller.delete(gone.id, 5)
    pages = caller.pages("ListSlides", pb.AnnotationsListSlidesRequest(page_size=3))
    assert [len(page.slides) for page in pages] == [3, 1]
    found = [one for page in pages for one in page.slides]
    assert [one.slide.slide_id for one in found] == names
    assert [(one.annotation_count, one.revision) for one in found] == [(1, 1), (2, 7), (1, 3), (1, 4)]
    assert (list(found[1].slide.uris), found[1].slide.width) == (["file:///a"], 9)
    (page,) = caller.pages("ListSlides", pb.AnnotationsListSlidesRequest(slide_ids=["d", "a", "unheard of"]))
    assert [one.slide.slide_id for one in page.slides] == ["a", "d"]


def test_the_store_says_which_it_is(caller):
    store = caller.call("GetStore", pb.AnnotationsGetStoreRequest())
    assert (store.revision, uuid.UUID(store.store_id).version) == (0, 4)
    assert re.fullmatch(r"wsisam_\d{4}", store.schema_version)
    sent = new()
    caller.save(sent)
    again = caller.call("GetStore", pb.AnnotationsGetStoreRequest())
    assert (again.revision, again.store_id) == (1, caller.get(sent.id).store_id)


# What is refused


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"id": ""}, "items[1].annotation.id"),
        ({"id": "PathAnnotationObject"}, "items[1].annotation.id"),
        ({"id": "{6423a977-ffff-48db-affc-cd11632010f0}"}, "items[1].annotation.id"),
        ({"revision": -1}, "items[1].annotation.revision"),
        ({"shape": None}, "items[1].annotation.shape"),
        ({"shape": pb.Shape()}, "items[1].annotation.shape"),
        ({"shape": drawn(0, [[1, 2]])}, "items[1].annotation.shape"),
        ({"shape": drawn(pb.SHAPE_KIND_POINTS, [[1, 2, 3]])}, "items[1].annotation.shape"),
        ({"shape": drawn(pb.SHAPE_KIND_LINES, [[1, 2]])}, "items[1].annotation.shape"),
        ({"shape": drawn(pb.SHAPE_KIND_LINES, [[1, 2, 3, 4], [1, 2, 3, 4]])}, "items[1].annotation.shape"),
        ({"shape": drawn(pb.SHAPE_KIND_AREAS, [])}, "items[1].annotation.shape"),
        ({"shape": drawn(pb.SHAPE_KIND_AREAS, [[0, 0, 1, 1]])}, "items[1].annotation.shape"),
        ({"provenance": pb.Provenance(field=geo.Field())}, "items[1].annotation.provenance.field.high"),
        (
            {"provenance": pb.Provenance(prompt=seg.Prompt(box=geo.Box(x0=math.nan)))},
            "items[1].annotation.provenance.prompt.box",
        ),
        (
            {"provenance": pb.Provenance(levels=[seg.Level(downsample=1), seg.Level()])},
            "items[1].annotation.provenance.levels[1]",
        ),
        (
            {"provenance": pb.Provenance(levels=[seg.Level(downsample=1, windows=2**32 - 1)])},
            "items[1].annotation.provenance.levels[0]",
        ),
        ({"provenance": pb.Provenance(levels=[seg.Level(downsample=1)] * 17)}, "provenance.levels"),
        ({"slide_id": ""}, "slide_id"),
        ({"path_class": path_class("")}, "path_class.name"),
        ({"measurements": {"a": math.nan}}, "measurements"),
        ({"name": "a\0"}, "name"),
    ],
    ids=str,
)
def test_fields_that_are_refused(caller, fields, field):
    error = refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.save, new(), new(**fields))
    assert error.details["field"] == field
    assert caller.ids() == []


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        (drawn(pb.SHAPE_KIND_AREAS, [[0, 0, 10, 10, 10, 0, 0, 10]]), "Self-intersection"),
        (drawn(pb.SHAPE_KIND_POINTS), "empty"),
        (drawn(pb.SHAPE_KIND_AREAS), "empty"),
        (pb.Shape(area=geo.MultiPolygon()), "empty"),
        (drawn(pb.SHAPE_KIND_POINTS, [[math.nan, 1]]), ""),
        (drawn(pb.SHAPE_KIND_LINES, [[0, 0, math.inf, 1]]), "no number"),
        (drawn(pb.SHAPE_KIND_LINES, [[0.0] * 2 * 20_001]), "20001 vertices"),
    ],
)
def test_shapes_that_are_refused(caller, shape, problem):
    bad = new(shape=shape)
    error = refuses("INVALID_ARGUMENT", "INVALID_SHAPE", caller.save, bad)
    assert error.details["annotation_id"] == bad.id
    assert problem in error.details["problem"]


def test_requests_that_are_refused(caller):
    refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.save)
    same = new()
    refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.save, same, same)
    refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.save, *[new() for _ in range(2001)])
    refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.save, new(), author="")
    refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.save, new(), request_id="x" * 129)
    refuses(
        "INVALID_ARGUMENT", "INVALID_FIELD", caller.save, new(), slides=[pb.AnnotatedSlide(slide_id="a", uris=[""])]
    )
    refuses(
        "INVALID_ARGUMENT", "INVALID_FIELD", caller.save, new(), slides=[pb.AnnotatedSlide(slide_id="a", width=2**31)]
    )
    refuses(
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        caller.call,
        "Save",
        pb.AnnotationsSaveRequest(items=[pb.SaveItem(annotation=new())]),
    )
    refuses("NOT_FOUND", "ANNOTATION_NOT_FOUND", caller.save, new(revision=1))
    unknown = str(uuid.uuid4())
    for call in (caller.delete, caller.restore):
        refuses("NOT_FOUND", "ANNOTATION_NOT_FOUND", call, unknown, 1)
        refuses("INVALID_ARGUMENT", "INVALID_FIELD", call, "no uuid", 1)
    for call in (caller.get, caller.history):
        refuses("NOT_FOUND", "ANNOTATION_NOT_FOUND", call, unknown)
        refuses("INVALID_ARGUMENT", "INVALID_FIELD", call, "no uuid")
    refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.get, unknown, -1)
    refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.listed, since=-1)
    refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.listed, region=geo.Box(x0=5, x1=1))
    refuses("OUT_OF_RANGE", "REVISION_AHEAD", caller.listed, since=1)
    sent = new()
    caller.save(sent)
    moved = new(sent.id, revision=1, slide_id="another")
    assert refuses("INVALID_ARGUMENT", "INVALID_FIELD", caller.save, moved).details["field"] == "slide_id"


@pytest.mark.parametrize("method", ["Save", "Get", "List", "Delete", "Restore", "ListRevisions", "ListSlides", "Watch"])
@pytest.mark.parametrize("data", [b"\xff" * 40, b"\x0a\x02\xff\xfe"])
def test_bytes_that_are_no_message(running, method, data):
    with grpc.insecure_channel(running.target) as channel, pytest.raises(grpc.RpcError) as caught:
        path = f"/wsisam.v1.Annotations/{method}"
        if method in ("List", "Watch"):
            list(channel.unary_stream(path)(data, timeout=20))
        else:
            channel.unary_unary(path)(data, timeout=20)
    error = server_error(caught.value)
    assert (error.status, error.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")


def test_a_server_without_a_store_says_so(server):
    caller = Caller(server.target)
    some = str(uuid.uuid4())
    for call, arguments in (
        (caller.save, [new()]),
        (caller.get, [some]),
        (caller.listed, []),
        (caller.delete, [some, 1]),
        (caller.restore, [some, 1]),
        (caller.history, [some]),
        (caller.call, ["ListSlides", pb.AnnotationsListSlidesRequest()]),
        (caller.call, ["GetStore", pb.AnnotationsGetStoreRequest()]),
    ):
        refuses("FAILED_PRECONDITION", "STORE_OFF", call, *arguments)
    with caller.watching() as watch:
        refuses("FAILED_PRECONDITION", "STORE_OFF", watch.next)
    caller.close()


def test_no_reader_is_locked_out_by_how_often_a_slide_was_seen(caller):
    """Clients take messages of 4 MiB by default."""
    slides = [f"{number:064x}" for number in range(40)]
    for number, slide_id in enumerate(slides):
        uris = [f"file:///{'x' * 4000}{seen}" for seen in range(400 if number == 0 else 20)]
        noted = [pb.AnnotatedSlide(slide_id=slide_id, uris=uris)]
        saved = caller.save(new(slide_id=slide_id, metadata={"a": "é" * 30_000}), slides=noted).saved[0]
    messages = caller.listed()
    assert max(message.ByteSize() for message in messages) < 2 * 2**20
    assert [one.slide_id for message in messages for one in message.annotations] == slides
    told = set()
    for message in messages:
        told |= {one.slide_id for one in message.slides}
        assert {one.slide_id for one in message.annotations} <= told
    assert sum(len(message.slides) for message in messages) == len(slides)
    assert len(caller.get(saved.id).slide.uris) == 16
    assert len(caller.history(saved.id)) == 1
    pages = caller.pages("ListSlides", pb.AnnotationsListSlidesRequest(page_size=1000))
    assert max(page.ByteSize() for page in pages) < 2 * 2**20
    assert [one.slide.slide_id for page in pages for one in page.slides] == slides
    with caller.watching() as watch:
        assert len(watch.revisions(40)) == 40
