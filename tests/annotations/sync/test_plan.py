"""The three-way merge: the whole table of states, and what must hold whatever the states are."""

import uuid
from dataclasses import replace
from itertools import product

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from annotations.sync.model import Sides, drawing, ids
from wsisam_server.annotations.store import PathClass
from wsisam_server.annotations.sync.likeness import differences
from wsisam_server.annotations.sync.model import SUBSTANCE, Kind
from wsisam_server.annotations.sync.plan import ALL_GONE, Direction, Note, Resolution, Side, Verb, plan

BASE = drawing(name="gland", measurements={"Area": 2000.0}, metadata={"note": "first"})
EDITS = {
    Kind.GEOMETRY: {"shape": shapely.box(10, 10, 60, 55)},
    Kind.CLASS: {"path_class": PathClass("Stroma", 0x00FF00)},
    Kind.NAME: {"name": "gland 2"},
    Kind.COLOUR: {"rgb": 0x00FF00},
    Kind.LOCK: {"locked": True},
    Kind.MEASUREMENTS: {"measurements": {"Area": 2000.0, "Length": 90.0}},
    Kind.METADATA: {"metadata": {"note": "second"}},
}
OTHER_EDITS = {
    Kind.GEOMETRY: {"shape": shapely.box(0, 0, 60, 55)},
    Kind.CLASS: {"path_class": None},
    Kind.NAME: {"name": ""},
    Kind.COLOUR: {"rgb": 0x0000FF},
    Kind.LOCK: {"locked": True},
    Kind.MEASUREMENTS: {"measurements": {}},
    Kind.METADATA: {"metadata": {"note": "third"}},
}
CHANGED = {kind.value: replace(BASE, **edit) for kind, edit in EDITS.items()}
CHANGED_OTHERWISE = {kind.value: replace(BASE, **edit) for kind, edit in OTHER_EDITS.items()}
BOTH, TO_PROJECT, TO_STORE = Direction.BOTH, Direction.TO_PROJECT, Direction.TO_STORE


def one(project, store, *, synced=True, known=True):
    """One annotation: 'same', 'deleted', 'absent' or a drawing on each side, after a sync or without one."""
    sides, annotation_id = Sides(), uuid.uuid4()
    if synced:
        sides.agree(annotation_id, BASE)
    if project in ("absent", "deleted"):
        sides.project.pop(annotation_id, None)
    else:
        sides.project[annotation_id] = BASE if project == "same" else project
    if store == "absent":
        sides.history.pop(annotation_id, None)
    elif store == "deleted":
        if not synced:
            sides.store(annotation_id, BASE)
        sides.store(annotation_id, None, deleted=True)
    elif store != "same" or not synced:
        sides.store(annotation_id, BASE if store == "same" else store)
    if not known:
        # The store has lost the revision that was synced.
        sides.history[annotation_id] = sides.history[annotation_id][1:]
    return sides, annotation_id


def verb(sides, *options, **more):
    (action,) = sides.plan(*options, **more).actions
    return action.verb


# Every cell of the table, for every kind of edit


@pytest.mark.parametrize("kind", CHANGED)
def test_what_one_side_changed_goes_to_the_other(kind):
    changed = CHANGED[kind]
    assert verb(one(changed, "same")[0]) is Verb.REVISE_IN_STORE
    assert verb(one("same", changed)[0]) is Verb.UPDATE_IN_PROJECT
    (action,) = one(changed, "same")[0].plan().actions
    assert action.kinds == {Kind(kind)}
    assert kind in action.reason
    assert not differences(action.target, changed)


@pytest.mark.parametrize("kind", CHANGED)
def test_what_one_side_changed_and_the_other_deleted_is_a_conflict(kind):
    assert verb(one(CHANGED[kind], "deleted")[0]) is Verb.CONFLICT
    assert verb(one("deleted", CHANGED[kind])[0]) is Verb.CONFLICT


@pytest.mark.parametrize(("here", "there"), list(product(CHANGED, CHANGED_OTHERWISE)))
def test_what_both_changed(here, there):
    sides, annotation_id = one(CHANGED[here], CHANGED_OTHERWISE[there])
    (action,) = sides.plan().actions
    if Kind(here) in SUBSTANCE and Kind(there) in SUBSTANCE:
        assert action.verb is Verb.CONFLICT
        assert here in action.reason
        assert there in action.reason
        sides.apply(sides.plan())
        assert sides.project[annotation_id] is CHANGED[here]
        assert not differences(sides.alive(annotation_id), CHANGED_OTHERWISE[there])
    else:
        sides.apply(sides.plan())
        found = sides.project[annotation_id]
        assert not differences(found, sides.alive(annotation_id))
        if here != there:
            assert differences(found, BASE) == {Kind(here), Kind(there)}


@pytest.mark.parametrize("kind", CHANGED)
def test_what_both_changed_to_the_same_is_noted(kind):
    (action,) = one(CHANGED[kind], CHANGED[kind])[0].plan().actions
    assert (action.verb, action.note) == (Verb.UNCHANGED, Note.RECORD)


@pytest.mark.parametrize(
    ("project", "store", "expected", "note"),
    [
        ("same", "same", Verb.UNCHANGED, Note.KEEP),
        ("same", "deleted", Verb.REMOVE_FROM_PROJECT, Note.KEEP),
        ("same", "absent", Verb.ADD_TO_STORE, Note.KEEP),
        ("deleted", "same", Verb.DELETE_IN_STORE, Note.KEEP),
        ("deleted", "deleted", Verb.UNCHANGED, Note.FORGET),
        ("deleted", "absent", Verb.UNCHANGED, Note.FORGET),
        (CHANGED["geometry"], "absent", Verb.ADD_TO_STORE, Note.KEEP),
    ],
)
def test_synced_before(project, store, expected, note):
    (action,) = one(project, store)[0].plan().actions
    assert (action.verb, action.note) == (expected, note)


@pytest.mark.parametrize(
    ("project", "store", "expected", "note"),
    [
        (BASE, "absent", Verb.ADD_TO_STORE, Note.KEEP),
        (BASE, "same", Verb.UNCHANGED, Note.RECORD),
        (BASE, "deleted", Verb.CONFLICT, Note.KEEP),
        ("absent", "same", Verb.ADD_TO_PROJECT, Note.KEEP),
        ("absent", "deleted", Verb.UNCHANGED, Note.KEEP),
        (BASE, CHANGED["geometry"], Verb.CONFLICT, Note.KEEP),
        (BASE, CHANGED["class"], Verb.CONFLICT, Note.KEEP),
        (BASE, CHANGED["name"], Verb.CONFLICT, Note.KEEP),
        (BASE, CHANGED["lock"], Verb.REVISE_IN_STORE, Note.KEEP),
        (BASE, CHANGED["measurements"], Verb.UPDATE_IN_PROJECT, Note.KEEP),
        (BASE, CHANGED["metadata"], Verb.REVISE_IN_STORE, Note.KEEP),
    ],
)
def test_never_synced(project, store, expected, note):
    (action,) = one(project, store, synced=False)[0].plan().actions
    assert (action.verb, action.note) == (expected, note)


def test_a_revision_that_says_the_same_is_noted_only():
    (action,) = one("same", BASE)[0].plan().actions
    assert (action.verb, action.note) == (Verb.UNCHANGED, Note.RECORD)


def test_when_the_store_lost_the_synced_revision_what_differs_is_a_conflict():
    assert verb(one(CHANGED["name"], CHANGED["class"], known=False)[0]) is Verb.CONFLICT
    assert verb(one("deleted", CHANGED["class"], known=False)[0]) is Verb.CONFLICT
    assert verb(one(CHANGED["name"], "deleted", known=False)[0]) is Verb.CONFLICT


# Directions and settling


@pytest.mark.parametrize(
    ("direction", "project", "store", "done"),
    [
        (TO_PROJECT, "same", CHANGED["name"], True),
        (TO_PROJECT, CHANGED["name"], "same", False),
        (TO_PROJECT, "deleted", "same", False),
        (TO_PROJECT, "same", "deleted", True),
        (TO_STORE, "same", CHANGED["name"], False),
        (TO_STORE, CHANGED["name"], "same", True),
        (TO_STORE, "deleted", "same", True),
        (TO_STORE, "same", "deleted", False),
        (TO_STORE, CHANGED["lock"], CHANGED["name"], False),
    ],
)
def test_a_direction_holds_what_the_other_side_would_need(direction, project, store, done):
    made = one(project, store)[0].plan(direction)
    assert made.actions[0].to_do is done
    assert bool(made.held) is not done


@pytest.mark.parametrize("kind", ["geometry", "class", "name"])
@pytest.mark.parametrize("store", ["deleted", "other"])
def test_settling_for_qupath(kind, store):
    theirs = "deleted" if store == "deleted" else CHANGED_OTHERWISE[kind]
    sides, annotation_id = one(CHANGED[kind], theirs)
    sides.apply(sides.plan(resolution=Resolution(Side.QUPATH)))
    assert sides.project[annotation_id] is CHANGED[kind]
    assert not differences(sides.alive(annotation_id), CHANGED[kind])
    assert finished(sides)


@pytest.mark.parametrize("kind", ["geometry", "class", "name"])
@pytest.mark.parametrize("store", ["deleted", "other"])
def test_settling_for_the_store_keeps_qupaths_version_in_its_history(kind, store):
    theirs = "deleted" if store == "deleted" else CHANGED_OTHERWISE[kind]
    sides, annotation_id = one(CHANGED[kind], theirs)
    sides.apply(sides.plan(resolution=Resolution(Side.STORE)))
    if store == "deleted":
        assert annotation_id not in sides.project
        assert sides.alive(annotation_id) is None
    else:
        assert not differences(sides.project[annotation_id], theirs)
        assert not differences(sides.alive(annotation_id), theirs)
    versions = [item.content for item in sides.history[annotation_id]]
    assert any(not differences(drawing_of(version), CHANGED[kind]) for version in versions)
    assert finished(sides)


def test_settling_a_deletion_in_qupath():
    for side, remains in ((Side.QUPATH, False), (Side.STORE, True)):
        sides, annotation_id = one("deleted", CHANGED["name"])
        sides.apply(sides.plan(resolution=Resolution(side)))
        assert (annotation_id in sides.project) is remains
        assert (sides.alive(annotation_id) is not None) is remains
        assert finished(sides)


def test_single_conflicts_are_settled_by_their_id():
    sides = Sides()
    first, second, third = ids(3)
    for one_id in (first, second, third):
        sides.agree(one_id, BASE)
        sides.project[one_id] = CHANGED["name"]
        sides.store(one_id, CHANGED["class"])
    made = sides.plan(resolution=Resolution(by_id={first: Side.STORE, second: Side.QUPATH}))
    assert [action.verb for action in made.actions] == [Verb.UPDATE_IN_PROJECT, Verb.REVISE_IN_STORE, Verb.CONFLICT]


def test_settling_for_the_store_without_touching_it_leaves_no_copy_there():
    sides, _ = one(CHANGED["name"], CHANGED["class"])
    (action,) = sides.plan(TO_PROJECT, Resolution(Side.STORE)).actions
    assert action.to_do
    assert action.discarded is None


# An image that lost everything


def test_an_image_that_lost_all_its_annotations_is_not_believed_without_asking():
    sides = Sides()
    for one_id in ids(ALL_GONE):
        sides.agree(one_id, BASE)
    sides.project.clear()
    assert {action.verb for action in sides.plan().actions} == {Verb.CONFLICT}
    sides.apply(sides.plan(resolution=Resolution(Side.QUPATH)))
    assert not any(map(sides.alive, sides.history))


def test_a_few_annotations_may_all_be_deleted_and_so_may_most_of_many():
    sides = Sides()
    for one_id in ids(ALL_GONE - 1):
        sides.agree(one_id, BASE)
    sides.project.clear()
    assert {action.verb for action in sides.plan().actions} == {Verb.DELETE_IN_STORE}
    sides = Sides()
    known = ids(ALL_GONE + 5)
    for one_id in known:
        sides.agree(one_id, BASE)
    sides.project = {known[0]: BASE}
    assert sides.plan().counts()[Verb.DELETE_IN_STORE] == ALL_GONE + 4


# What must hold whatever the states are

versions = st.sampled_from([BASE, *CHANGED.values(), *CHANGED_OTHERWISE.values()])
states = st.tuples(
    st.booleans(),
    st.sampled_from(["absent", "deleted", "same"]) | versions,
    st.sampled_from(["absent", "deleted", "same"]) | versions,
)
sides_of_any_kind = st.lists(states, max_size=14)


def made(states):
    sides = Sides()
    for synced, project, store in states:
        sub, annotation_id = one(project, store, synced=synced)
        # Revisions are numbered over the whole store.
        shift = sides.head
        sides.head += sub.head
        sides.project |= sub.project
        for revision in sub.history.get(annotation_id, []):
            sides.history.setdefault(annotation_id, []).append(replace(revision, revision=revision.revision + shift))
        for base in sub.record.values():
            sides.record[annotation_id] = replace(base, revision=base.revision + shift)
    return sides


def drawing_of(content):
    return type(BASE).of(content)


def finished(sides):
    """Whether another sync would change nothing, not even the record."""
    return all(
        action.verb is Verb.CONFLICT or (not action.to_do and action.note is Note.KEEP)
        for action in sides.plan().actions
    )


@given(sides_of_any_kind)
def test_a_second_plan_is_empty(states):
    sides = made(states)
    sides.apply(sides.plan())
    assert finished(sides)


@given(sides_of_any_kind, st.sampled_from(Side))
def test_after_settling_both_sides_are_equal(states, side):
    sides = made(states)
    sides.apply(sides.plan(resolution=Resolution(side)))
    alive = {known: sides.alive(known) for known in sides.history if sides.alive(known) is not None}
    assert alive.keys() == sides.project.keys()
    assert not any(differences(sides.project[known], said) for known, said in alive.items())
    assert finished(sides)
    assert not sides.plan().conflicts


@given(sides_of_any_kind, st.sampled_from(Direction), st.none() | st.sampled_from(Side))
def test_nothing_is_ever_lost(states, direction, side):
    sides = made(states)
    before, known = dict(sides.project), {key: list(value) for key, value in sides.history.items()}
    sides.apply(sides.plan(direction, Resolution(side)))
    for annotation_id, revisions in known.items():
        assert sides.history[annotation_id][: len(revisions)] == revisions
    for annotation_id, said in before.items():
        kept = [sides.project[annotation_id]] if annotation_id in sides.project else []
        kept += [drawing_of(item.content) for item in sides.history.get(annotation_id, [])]
        settled_without_store = direction is TO_PROJECT and side is Side.STORE
        assert settled_without_store or any(not differences(version, said) & SUBSTANCE for version in kept)


@given(sides_of_any_kind)
def test_a_conflict_changes_neither_side(states):
    sides = made(states)
    conflicts = sides.plan().conflicts
    before = {action.id: (sides.project.get(action.id), sides.history[action.id][-1]) for action in conflicts}
    sides.apply(sides.plan())
    assert before == {known: (sides.project.get(known), sides.history[known][-1]) for known in before}


@given(sides_of_any_kind, st.sampled_from([TO_PROJECT, TO_STORE]))
def test_a_direction_leaves_the_other_side_alone_and_the_rest_comes_later(states, direction):
    sides, at_once = made(states), made([])
    at_once = Sides(
        dict(sides.project), {key: list(value) for key, value in sides.history.items()}, dict(sides.record), sides.head
    )
    project, head = dict(sides.project), sides.head
    sides.apply(sides.plan(direction))
    assert sides.project == project if direction is TO_STORE else sides.head == head
    sides.apply(sides.plan())
    at_once.apply(at_once.plan())
    assert sides.project.keys() == at_once.project.keys()
    assert not any(differences(sides.project[known], at_once.project[known]) for known in sides.project)
    assert finished(sides)


@given(sides_of_any_kind, st.data())
def test_a_sync_that_was_cut_off_is_finished_by_the_next(states, data):
    """The store is changed, then the project, then the record; the process may end after any of these."""
    sides, whole = made(states), made([])
    whole = Sides(
        dict(sides.project), {key: list(value) for key, value in sides.history.items()}, dict(sides.record), sides.head
    )
    whole.apply(whole.plan())
    record, actions = dict(sides.record), sides.plan().actions
    done = data.draw(st.integers(0, len(actions)))
    halves = [replace(action, in_project=False) for action in actions[done : done + 1]]
    sides.apply(type(sides.plan())((*actions[:done], *halves)))
    sides.record = record
    sides.apply(sides.plan())
    assert sides.project.keys() == whole.project.keys()
    assert not any(differences(sides.project[known], whole.project[known]) for known in sides.project)
    assert {known for known in sides.history if sides.alive(known)} == {
        known for known in whole.history if whole.alive(known)
    }
    assert finished(sides)


def test_planning_nothing():
    assert plan([]).actions == ()
