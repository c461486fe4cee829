"""A large image of which little has changed: contents are read only of what changed on either side."""

import uuid
from dataclasses import replace

import numpy as np
import pytest
import shapely

from wsisam_server.annotations.store import Content, Draft, PathClass, Provenance, SlideRecord, Target, open_store
from wsisam_server.annotations.sync import client_image
from wsisam_server.annotations.sync.client_image import ClientImage, Merged, SyncOptions
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


def merge(store, image, options=BEN):
    """The whole answer."""
    whole = Merged()
    for part in client_image.merge(store, image, options):
        for name in ("put", "synced", "refused"):
            getattr(whole, name).update(getattr(part, name))
        for name in ("remove", "forgotten", "actions", "gone"):
            getattr(whole, name).extend(getattr(part, name))
        whole.unchanged += part.unchanged
    return whole


def changed(image, drawings, *, new=False):
    """The image with some of its annotations sent in full."""
    revisions = {one: 0 if new else image.unchanged[one] for one in drawings}
    return replace(
        image,
        changed=revisions,
        drawings=lambda: [{one: drawing} for one, drawing in drawings.items()],
        unchanged={one: revision for one, revision in image.unchanged.items() if one not in drawings},
    )


def lost(image, ones):
    """The image without some of its annotations."""
    return replace(
        image,
        unchanged={one: revision for one, revision in image.unchanged.items() if one not in ones},
        missing={one: image.unchanged[one] for one in ones},
    )


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
    return ClientImage(SlideRecord(SLIDE), unchanged={one.id: one.revision for one in saved}, store_id=store.identity)


@pytest.fixture
def drawings(store, image):
    """What the image holds."""
    return {one: Drawing.of(store.get(one).content) for one in image.unchanged}


def rounded(drawing):
    """As QuPath keeps it."""
    shape = shapely.transform(drawing.shape, lambda xy: xy.round(2).astype(np.float32).astype(float))
    return replace(drawing, shape=shape)


def test_of_an_image_as_it_was_no_content_is_read(store, image, read):
    assert merge(store, image) == Merged(unchanged=COUNT)
    assert read == []


def test_what_was_deleted_long_ago_is_not_read(store, image, read):
    gone = [Draft(uuid.uuid4(), Content(SLIDE, circle(50 + number))) for number in range(5)]
    targets = [Target(one.id, one.revision) for one in save(store, *gone)]
    store.delete(targets, author="ada", request_id=uuid.uuid4().hex)
    assert merge(store, image).unchanged == COUNT
    assert read == []


def test_what_qupath_rounded_is_as_it_was(store, image, drawings, read):
    """Sent in full, as by a client whose record has no digests: from then on it needs not be."""
    merged = merge(store, changed(image, {one: rounded(drawing) for one, drawing in drawings.items()}))
    assert merged == Merged(unchanged=COUNT, synced=image.unchanged)
    assert set(read) == image.unchanged.keys()
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
def test_every_change_is_seen(store, image, drawings, read, change, exact):
    one = next(iter(drawings))
    was = replace(drawings[one] if exact else rounded(drawings[one]), path_class=PathClass("Tumor"))
    start = Draft(one, was.onto(store.get(one).content), image.unchanged[one])
    (saved,) = save(store, start)
    image = replace(image, unchanged={**image.unchanged, one: saved.revision})
    merged = merge(store, changed(image, {one: replace(was, **change)}))
    assert [(action.id, action.verb) for action in merged.actions] == [(one, Verb.REVISE_IN_STORE)]
    assert (merged.unchanged, merged.synced) == (COUNT - 1, {one: saved.revision + 1})
    assert read == [one]


def test_a_change_in_the_store_comes_to_the_image(store, image, read):
    one = next(iter(image.unchanged))
    (saved,) = save(store, Draft(one, replace(store.get(one).content, name="B"), image.unchanged[one]))
    merged = merge(store, image)
    assert [drawing.name for drawing, _ in merged.put.values()] == ["B"]
    assert merged.synced == {one: saved.revision}
    assert read == [one]


def test_an_image_that_has_one_left_has_not_lost_all(store, image, drawings):
    left, *gone = image.unchanged
    for found in (lost(image, gone), changed(lost(image, gone), {left: rounded(drawings[left])})):
        merged = merge(store, found, replace(BEN, dry_run=True))
        assert {action.verb for action in merged.actions} == {Verb.DELETE_IN_STORE}
        assert {action.id for action in merged.actions} == set(gone)
    assert set(merge(store, found).forgotten) == set(gone)


@pytest.mark.parametrize("drawn", [True, False])
def test_an_image_that_lost_all_is_not_believed(store, image, drawn):
    one = {uuid.uuid4(): Drawing(circle(200))} if drawn else {}
    merged = merge(store, changed(lost(image, list(image.unchanged)), one, new=True))
    assert {action.verb for action in merged.actions if action.id not in one} == {Verb.CONFLICT}
    assert all(not store.get(one).deleted for one in image.unchanged)
    assert merged.synced.keys() == one.keys()


def test_more_than_are_held_at_once(store, monkeypatch):
    monkeypatch.setattr(client_image, "_AT_ONCE", 3)
    drawings = {uuid.uuid4(): Drawing(circle(number)) for number in range(10)}
    image = ClientImage(SlideRecord(SLIDE), store_id=store.identity)
    first = merge(store, changed(image, drawings, new=True))
    assert first.synced.keys() == drawings.keys()
    assert merge(store, image).put.keys() == drawings.keys()
    image = lost(replace(image, unchanged=first.synced), list(drawings)[:7])
    assert len(merge(store, image).forgotten) == 7
    assert merge(store, replace(image, missing={})).unchanged == 3


@pytest.mark.parametrize("known", [SlideSize(800, 600), None])
def test_images_of_different_size_are_never_one_slide(store, known):
    """Two computers have different files at one path, and the server sees neither."""
    uri, one = "file:///D:/slides/1.svs", uuid.uuid4()
    first = changed(ClientImage(SlideRecord(uri, (uri,), known)), {one: Drawing(circle(1))}, new=True)
    merge(store, first)
    other = ClientImage(SlideRecord(uri, (uri,), SlideSize(640, 480)))
    if known is None:
        assert merge(store, other).put.keys() == {one}
        return
    with pytest.raises(WsiSamServerError, match="800 x 600 pixels, and the image has 640 x 480") as caught:
        merge(store, other)
    assert caught.value.reason is Reason.INVALID_FIELD


def test_what_both_sides_deleted_is_named_and_not_counted_as_the_same(store, image):
    gone = next(iter(image.unchanged))
    store.delete([Target(gone, image.unchanged[gone])], author="ada", request_id=uuid.uuid4().hex)
    merged = merge(store, lost(image, [gone]))
    assert (merged.unchanged, merged.actions) == (COUNT - 1, [])
    assert [(action.id, action.label) for action in merged.gone] == [(gone, "A")]
    assert merged.forgotten == [gone]


@pytest.mark.parametrize("revision", [1, 999])
def test_what_the_store_does_not_have_must_be_sent_in_full(store, image, revision):
    """As after a backup was restored, or with an annotation that was moved out of the caller's projects."""
    unknown = uuid.uuid4()
    with pytest.raises(WsiSamServerError) as caught:
        merge(store, replace(image, unchanged={**image.unchanged, unknown: revision}))
    assert caught.value.reason is Reason.SYNC_BASE_UNKNOWN
    merged = merge(store, changed(replace(image, unchanged={unknown: revision}), {unknown: Drawing(circle(1))}))
    assert merged.synced[unknown] == store.head()
