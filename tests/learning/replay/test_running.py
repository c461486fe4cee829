"""What is drawn anew, what is left alone, and what becomes of it."""

import uuid
from dataclasses import replace

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from wsisam_server.annotations.formats import provenance
from wsisam_server.annotations.store import (
    AnnotationFilter,
    Content,
    Draft,
    Level,
    PathClass,
    Provenance,
    SlideRecord,
    Target,
    open_store,
)
from wsisam_server.core.geometry import Box, FieldPair, Point, Window
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.core.requests import Refinement
from wsisam_server.learning.replay import (
    RefusedError,
    ReplayedOutline,
    SkipReason,
    max_candidates,
    refinement,
    replay,
    steps,
)
from wsisam_server.learning.replay.report import dice

SLIDE = "5e" * 32
OLD = shapely.box(10, 10, 110, 110)
NEW = shapely.box(10, 10, 110, 60)
WINDOW = Window(0, 0, 1.0, 256)
MADE = Provenance("old-model", "aa" * 32, SlidePrompt(box=Box(5, 5, 115, 115)), FieldPair(WINDOW), 0.9)


class Stand:
    """Answers every prompt with one outline, and remembers what it was asked."""

    model, weights_hash = "new-model", "bb" * 32

    def __init__(self, shape=NEW):
        self.shape = shape
        self.asked = []
        self.meanwhile = lambda: None

    def answer(self, slide, prompt, window, levels):
        self.asked.append((slide, prompt, window, levels))
        self.meanwhile()
        if self.shape is None:
            raise RefusedError("the slide is gone")
        made = Provenance(self.model, self.weights_hash, prompt, FieldPair(WINDOW), 0.8, levels)
        return ReplayedOutline(self.shape, made)


@pytest.fixture
def store(tmp_path):
    with open_store(str(tmp_path / "annotations.sqlite")) as opened:
        yield opened


@pytest.fixture
def kept(store):
    """Stores an annotation, or its next revision."""

    def keep(author="anna", annotation_id=None, **more):
        content = Content(**{"slide_id": SLIDE, "shape": OLD, "provenance": MADE, **more})
        annotation_id = annotation_id or uuid.uuid4()
        history = [one for one in _all(store) if one.id == annotation_id]
        draft = Draft(annotation_id, content, history[0].revision if history else 0)
        store.save([draft], author=author, request_id=uuid.uuid4().hex, slides=[SlideRecord(SLIDE, ("file:///s.svs",))])
        return annotation_id

    return keep


def _all(store):
    return store.listing(AnnotationFilter(), after=0, limit=1000, deleted=True).annotations


def run(store, answerer=None, **more):
    return replay(store, AnnotationFilter(), answerer or Stand(), progress=lambda _done, _total: None, **more)


def test_old_and_new_outlines_are_compared_and_nothing_is_changed(store, kept):
    one = kept(path_class=PathClass("Gland"))
    stand = Stand()
    report = run(store, stand)
    ((slide, prompt, window, levels),) = stand.asked
    assert (slide.slide_id, slide.uris, prompt, window) == (SLIDE, ("file:///s.svs",), MADE.prompt, WINDOW)
    assert levels == ()
    (compared,) = report.compared
    assert (compared.annotation.id, compared.class_name, compared.saved) == (one, "Gland", None)
    assert compared.dice == pytest.approx(2 * 5000 / 15000)
    assert store.head() == 1
    said = report.as_json()
    assert (said["n"], said["classes"]["Gland"]["n"], said["annotations"][0]["old_model"]) == (1, 1, "old-model")


def test_saved_outlines_are_revisions_that_name_the_model_and_keep_the_rest(store, kept):
    metadata = {"note": "kept", **provenance.to_metadata(MADE)}
    one = kept(
        path_class=PathClass("Gland", 0xFF), name="g1", project="P", metadata=metadata, measurements={"Area": 1.0}
    )
    report = run(store, save=True)
    now = store.get(one)
    assert report.compared[0].saved == now.revision == 2
    assert now.author == "replay:new-model"
    assert now.content.shape.equals(NEW)
    assert (now.content.path_class, now.content.name, now.content.project) == (PathClass("Gland", 0xFF), "g1", "P")
    assert now.content.metadata == {"note": "kept"}
    assert now.content.measurements == {}
    assert now.content.provenance.weights_hash == Stand.weights_hash
    assert store.get(one, 1).content.shape.equals(OLD)
    # Again, there is nothing to do.
    assert run(store, save=True).left_alone == {one: SkipReason.SAME}
    assert store.head() == 2


def moved(shape):
    return shapely.transform(shape, lambda xy: xy + 0.5)


def test_what_a_person_changed_is_never_overwritten(store, kept):
    one = kept()
    kept("qupath:ben", one, shape=OLD | shapely.box(100, 100, 130, 130))
    stand = Stand()
    report = run(store, stand, save=True, imported=True)
    assert report.left_alone == {one: SkipReason.CHANGED}
    assert not stand.asked
    assert store.head() == 2


def test_a_new_class_a_name_and_qupaths_rounding_are_no_change_of_the_outline(store, kept):
    one = kept()
    kept("qupath:ben", one, shape=shapely.transform(OLD, lambda xy: xy + 0.004), path_class=PathClass("Tumor"))
    assert [compared.annotation.id for compared in run(store).compared] == [one]


def test_a_model_that_drew_over_a_persons_change_may_be_followed_by_another(store, kept):
    one = kept()
    kept("ben", one, shape=moved(OLD))
    kept("ben", one, shape=NEW, provenance=replace(MADE, weights_hash="cc" * 32))
    assert len(run(store).compared) == 1
    # Back to what the person had made.
    store.restore([Target(one, 3, 2)], author="ben", request_id="back")
    assert run(store).left_alone == {one: SkipReason.CHANGED}


def test_what_came_in_a_file_is_left_alone_until_it_is_asked_for(store, kept):
    rounded = shapely.transform(OLD, lambda xy: xy + 0.01)
    by_sync = kept(provenance=None, metadata=provenance.to_metadata(MADE))
    by_file = kept(shape=rounded)
    assert run(store).left_alone == {by_sync: SkipReason.IMPORTED, by_file: SkipReason.IMPORTED}
    assert {one.annotation.id for one in run(store, imported=True).compared} == {by_sync, by_file}
    run(store, imported=True, save=True)
    assert provenance.split(store.get(by_sync).content.metadata)[0] is None


def test_who_is_left_alone_and_why(store, kept):
    by_hand = kept(provenance=None)
    no_prompt = kept(provenance=replace(MADE, prompt=None))
    locked = kept(locked=True)
    same = kept(provenance=replace(MADE, weights_hash=Stand.weights_hash))
    gone = kept()
    store.delete([Target(gone, store.head())], author="anna", request_id="gone")
    assert run(store).left_alone == {
        by_hand: SkipReason.BY_HAND,
        no_prompt: SkipReason.NO_PROMPT,
        locked: SkipReason.LOCKED,
        same: SkipReason.SAME,
    }


@pytest.mark.parametrize(("shape", "why"), [(None, SkipReason.REFUSED), (shapely.MultiPolygon(), SkipReason.NOTHING)])
def test_what_is_not_answered_stays(store, kept, shape, why):
    one = kept()
    report = run(store, Stand(shape), save=True)
    assert report.left_alone == {one: why}
    assert report.problems.get(one) == ("the slide is gone" if shape is None else None)
    assert store.head() == 1


def test_what_is_changed_while_it_runs_stays(store, kept):
    one = kept()
    stand = Stand()
    stand.meanwhile = lambda: kept("ben", one, name="mine")
    assert run(store, stand, save=True).left_alone == {one: SkipReason.MEANWHILE}
    assert (store.get(one).author, store.head()) == ("ben", 2)


def marks(signs):
    return tuple(PromptPoint(Point(x, 1), sign) for x, sign in enumerate(signs))


LEVELS = (Level(2, 1), Level(0.5, 40))


def test_a_border_that_was_refined_is_refined_again_and_its_old_scales_go(store, kept):
    one = kept(provenance=replace(MADE, levels=LEVELS), metadata={"wsisam.levels": "[[2,1],[0.5,40]]", "note": "kept"})
    stand = Stand()
    run(store, stand, save=True)
    assert [asked[-1] for asked in stand.asked] == [LEVELS]
    now = store.get(one).content
    assert now.provenance.levels == LEVELS
    assert now.metadata == {"note": "kept"}


def test_a_model_that_refines_its_own_outline_is_no_person(store, kept):
    one = kept()
    kept("anna", one, shape=NEW, provenance=replace(MADE, levels=LEVELS))
    assert len(run(store).compared) == 1
    kept("ben", one, shape=moved(NEW), provenance=replace(MADE, levels=LEVELS))
    assert run(store).left_alone == {one: SkipReason.CHANGED}


def test_scales_that_the_first_form_of_the_store_left_in_the_metadata_are_found(store, kept):
    said = provenance.to_metadata(replace(MADE, levels=LEVELS, score=0.95))
    one = kept(metadata=said)
    stand = Stand()
    run(store, stand)
    assert [asked[-1] for asked in stand.asked] == [LEVELS]
    # It came again when the store knew levels, and was changed in between: a person's.
    kept("ben", one, shape=NEW, provenance=replace(MADE, levels=LEVELS), metadata=said)
    assert run(store).left_alone == {one: SkipReason.CHANGED}
    other = kept(metadata={**said, provenance.WEIGHTS: "dd" * 32})
    run(store, stand)
    assert stand.asked[-1][-1] == ()
    assert other


def test_a_part_that_a_person_took_away_stays_away_though_scales_came_with_it(store, kept):
    """QuPath's metadata had the scales before the store did: they make no other drawing of it."""
    parts = shapely.MultiPolygon([OLD, shapely.box(200, 200, 250, 250)])
    one = kept(shape=parts)
    kept("ben", one, shape=OLD, metadata=provenance.to_metadata(replace(MADE, levels=LEVELS)))
    assert run(store, imported=True).left_alone == {one: SkipReason.CHANGED}


@pytest.mark.parametrize(
    ("levels", "downsample", "windows"),
    [
        (((8, 1), (1, 20)), 1, 64),
        (((8, 1), (1, 100)), 1, 200),
        (((8, 1), (1, 200)), 1, 256),
        (((8, 1), (1, 300)), 1, 300),
        (((8, 1), (4, 10), (2, 40)), 2, 100),
        (((8, 1), (1e-300, 1)), 1 / 64, 64),
        (((8, 1), (4, 2**31 - 1), (2, 2**31 - 1), (1, 2**31 - 1)), 1, 2**31 - 1),
    ],
)
def test_how_far_a_border_is_refined_again(levels, downsample, windows):
    levels = tuple(Level(*level) for level in levels)
    assert refinement(levels, None) == refinement(levels, WINDOW) == Refinement(downsample, windows)


def test_a_border_is_refined_as_finely_by_a_model_of_another_input_size():
    """Four pixels of a window of 1,024 px make a cell of its mask, and a refinement is asked for in cells."""
    assert refinement((Level(2, 1), Level(0.5, 20)), Window(0, 0, 2, 1024)) == Refinement(2, 64)


@pytest.mark.parametrize("levels", [(), (Level(8, 1),)])
def test_a_border_that_was_not_refined_is_not_refined(levels):
    assert refinement(levels, WINDOW) is None


def test_a_prompt_grows_as_it_was_made():
    box = Box(0, 0, 9, 9)
    points = marks([False, True, False])
    assert steps(SlidePrompt(points, box)) == [
        SlidePrompt(box=box),
        SlidePrompt(points[:1], box),
        SlidePrompt(points[:2], box),
        SlidePrompt(points, box),
    ]
    assert steps(SlidePrompt(points)) == [SlidePrompt(points[:2]), SlidePrompt(points)]
    assert steps(SlidePrompt(marks([False]))) == []


def test_the_candidates_that_were_chosen_are_chosen_again():
    shape = shapely.MultiPolygon([OLD])
    first, second, third = marks([True, False, True])
    second = replace(second, candidate=2)
    prompt = SlidePrompt((first, second, third), shape=shape, candidate=1)
    asked = steps(prompt)
    assert asked == [
        SlidePrompt(shape=shape),
        SlidePrompt((first,), shape=shape),
        SlidePrompt((first, second), shape=shape),
        prompt,
    ]
    assert max_candidates(asked) == [1, 4, 1, 1]
    assert max_candidates([]) == []


@given(st.floats(0.01, 1), st.floats(0, 2))
def test_dice_is_that_of_areas(width, shift):
    first, second = shapely.box(0, 0, 1, 1), shapely.box(shift, 0, shift + width, 1)
    shared = max(0.0, min(1.0, shift + width) - shift)
    assert dice(first, second) == pytest.approx(2 * shared / (1 + width), abs=1e-9)
    assert dice(first, second) == dice(second, first)
