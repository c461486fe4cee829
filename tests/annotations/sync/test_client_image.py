"""A large image of which little has changed: contents are read only where digests leave a doubt."""

import uuid
from dataclasses import replace

import numpy as np
import pytest
import shapely

from wsisam_server.annotations.store import Content, Draft, PathClass, Provenance, SlideRecord, Target, open_store
from wsisam_server.annotations.sync.client_image import ClientImage, SyncOptions, merge
from wsisam_server.annotations.sync.model import Drawing
from wsisam_server.annotations.sync.plan import Verb
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import SlideSize

SLIDE = "5e" * 32
COUNT = 12
BEN = SyncOptions("qupath:ben", "Colon")


@pytest.fixture
def store(tmp_path):
    with open_store(str(tmp_path / "annotations.sqlite")) as opened:
        yield opened


@pytest.fixture
def read(store, monkeypatch):
    """Ids of the annotations whose contents were read, one after the other."""
    found, some = [], store.some

    def counted(ids):
        found.extend(ids)
        return some(ids)

    monkeypatch.setattr(store, "some", counted)
    monkeypatch.setattr(store, "listing", lambda *_, **__: pytest.fail("all contents were read"))
    return found


def circle(number):
    return shapely.transform(shapely.Point(40 * number, 7).buffer(10), lambda xy: np.rint(xy * 32) / 32)


def save(store, *drafts):
    return store.save(drafts, author="ada", request_id=uuid.uuid4().hex)


@pytest.fixture
def image(store):
    """An image that is what the store holds; how an outline was made, and its project, only the store knows."""
    made = Provenance("wsisam-lite", "ab" * 32, score=0.5)
    contents = {
        uuid.uuid4(): Content(SLIDE, circle(number), PathClass("Tumor", 0xC80000), project="Colon", provenance=made)
        for number in range(COUNT)
    }
    contents[next(iter(contents))] = Content(SLIDE, circle(99), None, 5, "A", "", True, {"Area": 4.5}, {"by": "x"})  # noqa: FBT003
    saved = save(store, *(Draft(*one) for one in contents.items()))
    drawings = {one: Drawing.of(content) for one, content in contents.items()}
    return ClientImage(
        SlideRecord(SLIDE), drawings, frozenset(), {one.id: one.revision for one in saved}, store.identity
    )


def rounded(drawing):
    """As QuPath keeps it."""
    shape = shapely.transform(drawing.shape, lambda xy: xy.round(2).astype(np.float32).astype(float))
    return replace(drawing, shape=shape)


def test_of_an_image_as_it_was_one_content_is_read(store, image, read):
    merged = merge(store, image, BEN)
    assert (merged.unchanged, merged.actions, merged.put, merged.revisions) == (COUNT, [], {}, image.revisions)
    assert len(read) == 1


def test_what_was_deleted_long_ago_is_not_read(store, image, read):
    gone = [Draft(uuid.uuid4(), Content(SLIDE, circle(50 + number))) for number in range(5)]
    targets = [Target(one.id, one.revision) for one in save(store, *gone)]
    store.delete(targets, author="ada", request_id=uuid.uuid4().hex)
    assert merge(store, image, BEN).unchanged == COUNT
    assert not {one.id for one in gone} & set(read)


def test_what_qupath_rounded_is_as_it_was(store, image, read):
    image = replace(image, drawings={one: rounded(drawing) for one, drawing in image.drawings.items()})
    merged = merge(store, image, BEN)
    assert (merged.unchanged, merged.actions, merged.revisions) == (COUNT, [], image.revisions)
    assert set(read) == image.drawings.keys()
    assert store.head() == COUNT


@pytest.mark.parametrize(
    "change",
    [
        {"shape": shapely.box(0, 0, 9, 9)},
        {"path_class": PathClass("Stroma")},
        {"path_class": None},
        {"name": "B"},
        {"rgb": 7},
        {"locked": False},
        {"measurements": {"Area": 4.6}},
        {"metadata": {}},
    ],
    ids=str,
)
@pytest.mark.parametrize("exact", [True, False])
def test_every_change_is_seen(store, image, read, change, exact):
    drawings = image.drawings if exact else {one: rounded(drawing) for one, drawing in image.drawings.items()}
    one = next(iter(drawings))
    was = replace(drawings[one], path_class=PathClass("Tumor"))
    start = Draft(one, was.onto(store.get(one).content), image.revisions[one])
    (saved,) = save(store, start)
    image = replace(
        image,
        drawings={**drawings, one: replace(was, **change)},
        revisions={**image.revisions, one: saved.revision},
    )
    merged = merge(store, image, BEN)
    assert [(action.id, action.verb) for action in merged.actions] == [(one, Verb.REVISE_IN_STORE)]
    assert (merged.unchanged, merged.revisions[one]) == (COUNT - 1, saved.revision + 1)
    assert one in read


def test_a_change_in_the_store_comes_to_the_image(store, image, read):
    one = next(iter(image.drawings))
    (saved,) = save(store, Draft(one, replace(store.get(one).content, name="B"), image.revisions[one]))
    merged = merge(store, image, BEN)
    assert [drawing.name for drawing in merged.put.values()] == ["B"]
    assert merged.revisions[one] == saved.revision
    assert len(read) == 2, "the changed one, and one that was not"


@pytest.mark.parametrize("exact", [True, False])
def test_an_image_that_has_one_left_has_not_lost_all(store, image, read, exact):
    left, *gone = image.drawings
    drawing = image.drawings[left] if exact else rounded(image.drawings[left])
    merged = merge(store, replace(image, drawings={left: drawing}), BEN)
    assert {action.verb for action in merged.actions} == {Verb.DELETE_IN_STORE}
    assert {action.id for action in merged.actions} == set(gone)
    assert merged.revisions.keys() == {left}


def test_an_image_that_lost_all_is_not_believed(store, image):
    merged = merge(store, replace(image, drawings={}), BEN)
    assert {action.verb for action in merged.actions} == {Verb.CONFLICT}
    assert all(not store.get(one).deleted for one in image.drawings)


@pytest.mark.parametrize("known", [SlideSize(800, 600), None])
def test_images_of_different_size_are_never_one_slide(store, known):
    """Two computers have different files at one path, and the server sees neither."""
    uri, one = "file:///D:/slides/1.svs", uuid.uuid4()
    first = ClientImage(SlideRecord(uri, (uri,), known), {one: Drawing(circle(1))})
    merge(store, first, BEN)
    other = replace(first, slide=SlideRecord(uri, (uri,), SlideSize(640, 480)), drawings={})
    if known is None:
        assert merge(store, other, BEN).put.keys() == {one}
        return
    with pytest.raises(WsiSamServerError, match="800 x 600 pixels, and the image has 640 x 480") as caught:
        merge(store, other, BEN)
    assert caught.value.reason is Reason.INVALID_FIELD


def test_what_both_sides_deleted_is_named_and_not_counted_as_the_same(store, image):
    gone = next(iter(image.drawings))
    store.delete([Target(gone, image.revisions[gone])], author="ada", request_id=uuid.uuid4().hex)
    left = {one: drawing for one, drawing in image.drawings.items() if one != gone}
    merged = merge(store, replace(image, drawings=left), BEN)
    assert (merged.unchanged, merged.actions) == (COUNT - 1, [])
    assert [(action.id, action.label) for action in merged.gone] == [(gone, "A")]
    assert gone not in merged.revisions
