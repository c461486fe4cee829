"""Whole syncs, with the double of QuPath and with a real one."""

import json
import sqlite3
import uuid

import pytest
import shapely

from annotations.sync.worlds import hexed, path_class
from wsisam_server.annotations.store import ChangeKind, Target, open_store, upkeep
from wsisam_server.annotations.sync.likeness import same_shape
from wsisam_server.annotations.sync.plan import Direction, Resolution, Side, Verb
from wsisam_server.annotations.sync.process import QuPathProcess
from wsisam_server.annotations.sync.report import Outcome
from wsisam_server.annotations.sync.steps import Step
from wsisam_server.core.errors import Reason, WsiSamServerError

SQUARE = shapely.box(10, 10, 60, 50)
BIGGER = shapely.box(10, 10, 80, 50)
OTHER = shapely.box(5, 5, 20, 20)
FINE = shapely.Polygon([(100.03125, 100.46875), (160.71875, 100.09375), (160.1, 150.9), (120.5, 170.125)])
HOLED = shapely.Polygon([(10, 10), (90, 10), (90, 90), (10, 90)], [[(20.5, 20.5), (20.5, 40), (40, 40)]])
PARTS = shapely.MultiPolygon([HOLED, shapely.box(200, 200, 220.25, 230)])
BOTH, TO_PROJECT, TO_STORE = Direction.BOTH, Direction.TO_PROJECT, Direction.TO_STORE


def verbs(report, image=0):
    return {action.id: action.verb for action in report.images[image].actions}


def unchanged(world):
    """Whether another sync changes nothing: not a byte in the project, not a revision in the store."""
    before, head = world.files(), world.store.head()
    report = world.sync()
    return report.status == 0 and world.files() == before and world.store.head() == head


# Both ways


def test_what_the_store_has_comes_to_the_project(world):
    shapes = [
        SQUARE,
        FINE,
        HOLED,
        PARTS,
        shapely.Point(5.5, 6),
        shapely.MultiPoint([(1, 2), (3.25, 4)]),
        shapely.LineString([(1, 1), (5.5, 6), (9, 2)]),
    ]
    saved = [
        world.save(
            shape,
            path_class=path_class("Tumor: Positive", 0xFA3E3E),
            name=f"gland {number}",
            locked=number == 1,
            measurements={"Area µm^2": 1.25},
            metadata={"note": "Drüse 🔬"},
        )
        for number, shape in enumerate(shapes)
    ]
    head = world.store.head()
    report = world.sync()
    assert report.status == 0
    assert [image.count(Verb.ADD_TO_PROJECT) for image in report.images] == [len(shapes), 0]
    shown = world.shown()
    assert shown.keys() == set(saved)
    for number, (one, shape) in enumerate(zip(saved, shapes, strict=True)):
        assert same_shape(shapely.from_wkb(shown[one]["shape"]), shape)
        assert shown[one]["name"] == f"gland {number}"
        assert shown[one]["class"] == "Tumor: Positive"
        assert shown[one]["locked"] is (number == 1)
        assert shown[one]["measurements"] == {"Area µm^2": "1.25"}
        assert shown[one]["metadata"] == {"note": "Drüse 🔬"}
    assert world.store.head() == head
    assert unchanged(world)


def test_what_is_drawn_in_qupath_comes_to_the_store(world):
    one = world.draw(
        SQUARE,
        name="by hand",
        **{"class": "Stroma"},
        locked=True,
        measurements={"Area": 2000.5},
        metadata={"note": "seen"},
    )
    two = world.draw(HOLED, image="2")
    report = world.sync()
    assert report.status == 0
    stored = world.stored()
    assert stored.keys() == {one, two}
    content = stored[one].content
    assert (content.name, content.path_class.name, content.locked) == ("by hand", "Stroma", True)
    assert (content.measurements, content.metadata) == ({"Area": 2000.5}, {"note": "seen"})
    assert same_shape(content.shape, SQUARE)
    assert content.provenance is None
    assert content.project == "Colon"
    assert stored[one].author == "qupath:tester"
    assert stored[two].content.slide_id == world.slide_id("2")
    (record,) = world.store.slides([world.slide_id("1")])
    assert (record.size.width, record.size.height) == (900, 700)
    assert "first.png" in record.uris[0]
    assert unchanged(world)


@pytest.mark.parametrize(
    ("edit", "kind"),
    [
        ({"shape": BIGGER}, "geometry"),
        ({"class": "Stroma"}, "class"),
        ({"class": None}, "class"),
        ({"name": "renamed"}, "name"),
        ({"colour": -16711936}, "colour"),
        ({"locked": True}, "lock"),
        ({"measurements": {"Length": 4.5}}, "measurements"),
        ({"metadata": {"note": "new"}}, "metadata"),
    ],
)
def test_an_edit_in_qupath_becomes_a_revision(world, edit, kind):
    one = world.save(SQUARE, path_class=path_class("Tumor"), name="gland", metadata={"by": "model"})
    world.sync()
    before = world.store.get(one)
    world.edit(one, **edit)
    report = world.sync()
    (action,) = report.images[0].actions
    assert (action.verb, {found.value for found in action.kinds}) == (Verb.REVISE_IN_STORE, {kind})
    after = world.store.get(one)
    assert after.revision > before.revision
    assert (after.author, after.creator, after.kind) == ("qupath:tester", "alice", ChangeKind.SAVED)
    assert same_shape(after.content.shape, edit.get("shape", SQUARE))
    assert after.content.name == edit.get("name", "gland")
    assert (after.content.path_class and after.content.path_class.name) == edit.get("class", "Tumor")
    assert after.content.locked is edit.get("locked", False)
    assert after.content.rgb == (0x00FF00 if "colour" in edit else None)
    assert after.content.metadata == {"by": "model", **edit.get("metadata", {})}
    assert unchanged(world)


def test_a_deletion_in_qupath_becomes_a_revision_that_can_be_undone(world):
    one, two = world.save(SQUARE), world.save(OTHER)
    world.sync()
    world.delete(one)
    report = world.sync()
    assert verbs(report) == {one: Verb.DELETE_IN_STORE}
    assert world.stored().keys() == {two}
    assert world.store.get(one).deleted
    assert same_shape(world.store.get(one).content.shape, SQUARE)
    assert unchanged(world)


@pytest.mark.parametrize(
    "change",
    [
        {"shape": BIGGER},
        {"path_class": path_class("Stroma")},
        {"path_class": None},
        {"name": "new"},
        {"rgb": 0x00FF00},
        {"locked": True},
        {"metadata": {}},
        {"measurements": {"b": 2.0}},
    ],
)
def test_a_change_in_the_store_comes_to_the_project(world, change):
    one = world.save(
        SQUARE, path_class=path_class("Tumor"), name="gland", metadata={"by": "model"}, measurements={"a": 1.0}
    )
    other = world.draw(OTHER, name="another")
    world.sync()
    world.change(one, **change)
    before = world.shown()[other]
    report = world.sync()
    assert (verbs(report), report.images[0].failures) == ({one: Verb.UPDATE_IN_PROJECT}, [])
    shown = world.shown()
    assert shown[other] == before
    content = world.store.get(one).content
    assert same_shape(shapely.from_wkb(shown[one]["shape"]), content.shape)
    assert shown[one]["class"] == (content.path_class and content.path_class.name)
    assert (shown[one]["name"], shown[one]["locked"], shown[one]["metadata"]) == (
        content.name,
        content.locked,
        content.metadata,
    )
    assert shown[one]["measurements"] == {name: repr(value) for name, value in content.measurements.items()}
    assert shown[one]["colour"] == (None if content.rgb is None else content.rgb - 0x1000000)
    assert unchanged(world)


def test_a_deletion_in_the_store_comes_to_the_project(world):
    one, two = world.save(SQUARE), world.save(OTHER)
    world.sync()
    world.discard(one)
    assert verbs(world.sync()) == {one: Verb.REMOVE_FROM_PROJECT}
    assert world.shown().keys() == {two}
    assert unchanged(world)


def test_a_restored_annotation_comes_back(world):
    one = world.save(SQUARE)
    world.sync()
    world.discard(one)
    world.sync()
    world.store.restore([Target(one, world.store.get(one).revision)], author="alice", request_id="r")
    assert verbs(world.sync()) == {one: Verb.ADD_TO_PROJECT}
    assert world.shown().keys() == {one}
    assert unchanged(world)


# Directions, filters, dry run


def test_one_way_at_a_time(world):
    stored, drawn = world.save(SQUARE), world.draw(OTHER)
    head = world.store.head()
    report = world.sync(direction=TO_PROJECT)
    assert report.images[0].held == 1
    assert world.shown().keys() == {stored, drawn}
    assert world.store.head() == head
    before = world.files()
    world.sync(direction=TO_STORE)
    data = {name for name in before if name.endswith(".qpdata")}
    assert {name: world.files()[name] for name in data} == {name: before[name] for name in data}
    assert world.stored().keys() == {stored, drawn}
    assert unchanged(world)


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(world):
    stored, drawn = world.save(SQUARE), world.draw(OTHER)
    before, head = world.files(), world.store.head()
    report = world.sync(dry_run=True)
    assert verbs(report) == {stored: Verb.ADD_TO_PROJECT, drawn: Verb.ADD_TO_STORE}
    assert report.images[0].outcome is Outcome.PLANNED
    assert (world.files(), world.store.head()) == (before, head)


def test_only_some_images_and_some_classes(world):
    tumor, stroma = (
        world.save(SQUARE, path_class=path_class("Tumor")),
        world.save(OTHER, path_class=path_class("Stroma")),
    )
    there = world.save(SQUARE, image="2", path_class=path_class("Tumor"))
    world.sync(images="f*.png", path_class="Tumor")
    assert world.shown().keys() == {tumor}
    assert world.shown("2").keys() == set()
    world.sync(images="f*")
    assert world.shown().keys() == {tumor, stroma}
    world.sync()
    assert world.shown("2").keys() == {there}
    assert unchanged(world)


def test_a_class_given_away_is_still_seen_by_who_syncs_that_class(world):
    one = world.save(SQUARE, path_class=path_class("Tumor"))
    world.sync()
    world.change(one, path_class=path_class("Stroma"))
    world.sync(path_class="Tumor")
    assert world.shown()[one]["class"] == "Stroma"


# Conflicts


def in_conflict(world):
    one = world.save(SQUARE, name="gland")
    world.sync()
    world.edit(one, shape=BIGGER)
    world.change(one, shape=OTHER)
    return one


def test_both_changed_qupaths_stays_both_are_kept_and_it_is_said_until_settled(world):
    one = in_conflict(world)
    for _ in range(2):
        report = world.sync()
        assert report.status == 1
        (action,) = report.images[0].conflicts
        assert action.id == one
        assert "geometry" in action.reason
        assert same_shape(world.shape(one), BIGGER)
        assert same_shape(world.store.get(one).content.shape, OTHER)


def test_settled_for_qupath(world):
    one = in_conflict(world)
    assert world.sync(resolution=Resolution(Side.QUPATH)).status == 0
    assert same_shape(world.shape(one), BIGGER)
    assert same_shape(world.store.get(one).content.shape, BIGGER)
    shapes = [item.content.shape for item in world.store.history(one, after=0, limit=9).annotations]
    assert any(same_shape(shape, OTHER) for shape in shapes)
    assert unchanged(world)


def test_settled_for_the_store_and_qupaths_version_is_in_the_history(world):
    one = in_conflict(world)
    assert world.sync(resolution=Resolution(by_id={one: Side.STORE})).status == 0
    assert same_shape(world.shape(one), OTHER)
    history = world.store.history(one, after=0, limit=9).annotations
    assert same_shape(history[-1].content.shape, OTHER)
    assert same_shape(history[-2].content.shape, BIGGER)
    assert history[-2].author == "qupath:tester"
    assert unchanged(world)


@pytest.mark.parametrize("side", Side)
def test_changed_in_qupath_and_deleted_in_the_store(world, side):
    one = world.save(SQUARE)
    world.sync()
    world.edit(one, name="mine")
    world.discard(one)
    assert world.sync().status == 1
    assert world.shown().keys() == {one}
    assert world.sync(resolution=Resolution(side)).status == 0
    assert (one in world.shown()) is (side is Side.QUPATH)
    assert (one in world.stored()) is (side is Side.QUPATH)
    assert unchanged(world)


@pytest.mark.parametrize("side", Side)
def test_deleted_in_qupath_and_changed_in_the_store(world, side):
    one = world.save(SQUARE)
    world.sync()
    world.delete(one)
    world.change(one, name="hers")
    assert world.sync().status == 1
    assert world.sync(resolution=Resolution(side)).status == 0
    assert (one in world.shown()) is (side is Side.STORE)
    assert (one in world.stored()) is (side is Side.STORE)
    assert unchanged(world)


# What is not ours


def test_all_that_is_not_ours_survives_untouched(world):
    mine = world.draw(HOLED, name="parent", colour=-16711936, locked=True, measurements={"a": 1.5}, metadata={"k": "v"})
    world.tools.editor.furnish(str(world.project), "1", str(mine))
    world.sync()
    before = world.dump()
    ours = world.save(SQUARE)
    gone = world.save(OTHER)
    world.sync()
    world.change(ours, shape=BIGGER, name="changed")
    world.discard(gone)
    world.sync()
    after = world.dump()
    known = {item["id"] for item in before["objects"]}
    assert [item for item in after["objects"] if item["id"] in known] == before["objects"]
    assert {item["id"] for item in after["objects"]} - known == {str(ours)}
    for what in ("cores", "type", "stains", "steps"):
        assert after[what] == before[what]
    properties = {name: value for name, value in after["properties"].items() if name != "wsisam.sync"}
    assert properties == {name: value for name, value in before["properties"].items() if name != "wsisam.sync"}
    cell = next(item for item in after["objects"] if "etection" in item["kind"])
    assert cell["parent"] == str(mine)
    assert cell["measurements"] == {"Nucleus: Area": "12.5", "Nothing": "nan"}


def test_removing_an_annotation_keeps_the_cells_in_it(world):
    one = world.save(SQUARE)
    world.sync()
    world.tools.editor.furnish(str(world.project), "1", str(one))
    world.sync()
    world.discard(one)
    world.sync()
    kinds = [item["kind"] for item in world.dump()["objects"]]
    assert len([kind for kind in kinds if "etection" in kind]) == 1
    assert not world.shown()


def test_colour_and_children_of_an_updated_annotation_stay(world):
    one = world.save(SQUARE)
    world.sync()
    world.edit(one, colour=-16776961)
    world.tools.editor.furnish(str(world.project), "1", str(one))
    world.sync()
    world.change(one, shape=BIGGER)
    world.sync()
    assert world.shown()[one]["colour"] == -16776961
    cell = next(item for item in world.dump()["objects"] if "etection" in item["kind"])
    assert cell["parent"] == str(one)


def test_annotations_on_other_planes_stay_in_qupath_and_are_named(world):
    one = world.draw(SQUARE, plane=[2, 0])
    report = world.sync()
    assert any("z = 2" in problem for problem in report.images[0].problems)
    assert world.stored() == {}
    world.save(OTHER)
    world.sync()
    assert one in world.shown()


def test_an_id_that_two_objects_have_is_named_and_left_alone(world):
    one = world.draw(SQUARE)
    world.draw(OTHER, id=str(one))
    report = world.sync()
    assert any("several objects" in problem for problem in report.images[0].problems)
    assert world.stored() == {}


def test_an_id_of_another_slide_is_refused_and_the_rest_goes_on(world):
    one = world.draw(SQUARE)
    world.sync()
    world.draw(SQUARE, image="2", id=str(one))
    two = world.draw(OTHER, image="2")
    report = world.sync()
    assert report.status == 2
    assert "another slide" in report.images[1].failures[0]
    assert "sync again" not in report.images[1].failures[0]
    assert world.stored().keys() == {one, two}
    assert world.store.get(one).content.slide_id == world.slide_id("1")


# Skipping, and what it rests on


def test_nothing_is_read_when_nothing_is_new(world):
    world.draw(SQUARE)
    world.save(OTHER, image="2")
    world.sync()

    report = world.sync(process=QuPathProcess(["no such program"]))
    assert [image.outcome for image in report.images] == [Outcome.SKIPPED, Outcome.SKIPPED]


def test_only_the_image_that_has_something_new_is_read(world):
    world.draw(SQUARE)
    world.draw(SQUARE, image="2")
    world.sync()
    world.save(OTHER, image="2")
    report = world.sync()
    assert [image.outcome for image in report.images] == [Outcome.SKIPPED, Outcome.SYNCED]


def test_a_project_that_was_moved_goes_on_where_it_was(world):
    one, two = world.draw(SQUARE), world.save(OTHER)
    world.sync()
    moved = world.folder.rename(world.folder.with_name("Elsewhere"))
    world.project = moved / "project.qpproj"
    assert world.sync().images[0].outcome is Outcome.SKIPPED
    world.delete(one)
    assert verbs(world.sync()) == {one: Verb.DELETE_IN_STORE}
    assert world.shown().keys() == {two}


def test_two_stores_do_not_get_into_each_others_way(world, tmp_path):
    one = world.draw(SQUARE)
    world.sync()
    with open_store(str(tmp_path / "other.sqlite")) as other:
        world.sync(store=other)
        assert other.get(one)
        first, world.store = world.store, other
        new = world.save(OTHER)
        world.sync()
        world.store = first
        assert world.sync().status == 0
        assert world.stored().keys() == {one, new}
        world.delete(one)
        world.sync()
        assert world.store.get(one).deleted
        world.store = other
        world.sync()
        assert other.get(one).deleted
        world.store = first


@pytest.mark.parametrize("told", [False, True], ids=["not told", "wsisam db restored"])
def test_a_store_restored_from_a_backup_loses_nothing(world, tmp_path, told):
    one = world.draw(SQUARE)
    world.sync()
    (tmp_path / "backup").mkdir()
    with (
        sqlite3.connect(tmp_path / "annotations.sqlite") as source,
        sqlite3.connect(tmp_path / "backup/annotations.sqlite") as target,
    ):
        source.backup(target)
    source.close()
    target.close()
    two = world.draw(OTHER)
    world.edit(one, name="after the backup")
    world.sync()
    if told:
        upkeep.restored(str(tmp_path / "backup/annotations.sqlite"))
    with open_store(str(tmp_path / "backup/annotations.sqlite")) as restored:
        assert (restored.identity == world.store.identity) is not told
        # It goes on by itself, so that numbers of revisions come again for other changes.
        world.store = restored
        others = [world.save(OTHER) for _ in range(5)]
        report = world.sync()
        assert any("backup" in note for note in report.notes) is not told
        assert restored.get(two)
        assert {action.id for action in report.images[0].conflicts} == {one}
        assert world.shown().keys() == {one, two, *others}


@pytest.mark.parametrize("known", [True, False], ids=["with its record", "older than all records"])
def test_a_data_file_from_a_backup_brings_nothing_down(world, known):
    world.save(SQUARE)
    world.sync()
    path = world.folder / "data/1/data.qpdata"
    old = path.read_bytes()
    records = set((world.folder / "wsisam-sync/synced/1").iterdir())
    new = [world.save(OTHER) for _ in range(3)]
    world.sync()
    path.write_bytes(old)
    if not known:
        for record in records:
            record.unlink()
    report = world.sync()
    assert any("without history" in problem for problem in report.images[0].problems) is not known
    assert world.stored().keys() == world.shown().keys()
    assert set(new) <= world.shown().keys()


def test_what_a_qupath_that_had_the_image_open_overwrites_comes_back(world):
    one, gone = world.save(SQUARE), world.save(BIGGER)
    world.sync()
    world.tools.editor.open(str(world.project), "1")
    new = world.save(OTHER)
    world.discard(gone)
    world.sync()
    drawn = uuid.UUID(world.tools.editor.save_open(str(world.project), "1", {"shape": hexed(HOLED)}))
    assert world.shown().keys() == {one, gone, drawn}
    report = world.sync()
    assert report.status == 0
    assert report.images[0].problems == []
    assert world.shown().keys() == world.stored().keys() == {one, new, drawn}


def test_what_was_deleted_in_a_qupath_that_had_the_image_open_stays_deleted(world):
    """Its file names the record of the state that it was read from, and that says what it has lost."""
    one, gone = world.save(SQUARE), world.save(BIGGER)
    world.sync()
    before = (world.folder / "data/1/data.qpdata").read_bytes()
    new = world.save(OTHER)
    world.sync()
    (world.folder / "data/1/data.qpdata").write_bytes(before)
    world.delete(gone)
    assert world.sync().status == 0
    assert world.shown().keys() == world.stored().keys() == {one, new}


# Bad data


def test_a_data_file_that_qupath_cannot_read_is_not_taken_for_empty(world):
    one, two = world.save(SQUARE), world.save(OTHER, image="2")
    world.sync()
    world.tools.editor.poison(str(world.project), "1")
    before = world.files()["data/1/data.qpdata"]
    world.change(two, name="goes on")
    report = world.sync()
    assert report.status == 2
    assert "cannot read" in report.images[0].failures[0]
    assert report.images[1].outcome is Outcome.SYNCED
    assert world.files()["data/1/data.qpdata"] == before
    assert not world.store.get(one).deleted
    assert world.shown("2")[two]["name"] == "goes on"


def test_a_data_file_that_is_cut_short_is_not_taken_for_empty(world):
    one = world.save(SQUARE)
    world.sync()
    path = world.folder / "data/1/data.qpdata"
    path.write_bytes(path.read_bytes()[:-20])
    assert world.sync().status == 2
    assert not world.store.get(one).deleted


def test_an_image_emptied_by_qupath_does_not_empty_the_store(world):
    """What happens when a file that could not be read is saved: everything is gone at once."""
    saved = [world.save(shapely.box(10 * number, 0, 10 * number + 8, 9)) for number in range(12)]
    world.sync(direction=TO_STORE)
    world.sync()
    world.delete(*saved)
    report = world.sync()
    assert report.status == 1
    assert len(report.images[0].conflicts) == 12
    assert world.stored().keys() == set(saved)
    assert world.sync(resolution=Resolution(Side.STORE)).status == 0
    assert world.shown().keys() == set(saved)


def test_objects_without_saved_ids_are_refused_and_can_be_given_some(world):
    world.draw(SQUARE, name="old")
    world.draw(OTHER)
    world.tools.editor.forget_ids(str(world.project), "1")
    report = world.sync()
    assert report.status == 2
    assert "--persist-ids" in report.images[0].failures[0]
    assert world.stored() == {}
    report = world.sync(persist_ids=True)
    assert report.status == 0
    assert len(world.stored()) == 2
    assert world.stored().keys() == world.shown().keys()
    assert unchanged(world)


def test_bad_shapes_that_people_draw(world):
    bowtie = world.draw(shapely.Polygon([(0, 0), (40, 40), (40, 0), (0, 40)]))
    report = world.sync()
    assert report.status == 0
    stored = world.store.get(bowtie).content.shape
    assert stored.is_valid
    assert stored.area == pytest.approx(800)
    assert unchanged(world)


def test_missing_image_files_do_not_stop_the_rest(world, tmp_path):
    said = json.loads(world.project.read_text())
    text = world.project.read_text().replace("first.png", "gone.png")
    assert len(said["images"]) == 2
    world.project.write_text(text)
    two = world.save(OTHER, image="2")
    report = world.sync()
    assert report.images[0].outcome is Outcome.UNMATCHED
    assert "not on this machine" in report.images[0].problems[0]
    assert world.shown("2").keys() == {two}


def test_an_image_that_is_gone_is_still_synced_when_it_was_known(world):
    one = world.save(SQUARE)
    world.sync()
    moved = world.slides[0].rename(world.slides[0].with_name("away.png"))
    try:
        world.change(one, name="new")
        report = world.sync()
        assert report.images[0].outcome is Outcome.SYNCED
        assert world.shown()[one]["name"] == "new"
    finally:
        moved.rename(world.slides[0])


def test_the_summary_of_an_image_is_kept_right(world):
    path = world.folder / "data/1/summary.json"
    for _ in range(3):
        world.save(SQUARE)
    world.sync()
    said = json.loads(path.read_text())
    assert said["hierarchy"]["nObjects"] == 4


def test_old_data_files_are_kept_but_not_for_ever(world):
    one = world.save(SQUARE)
    world.sync()
    contents = []
    for number in range(5):
        contents.append((world.folder / "data/1/data.qpdata").read_bytes())
        world.change(one, name=str(number))
        world.sync()
    backups = sorted((world.folder / "wsisam-sync/backups/1").iterdir())
    assert [path.read_bytes() for path in backups] == contents[-3:]


def test_what_the_store_does_not_take_is_named_and_the_rest_is_stored(world):
    good, bad = world.draw(SQUARE, name="short"), world.draw(OTHER, name="x" * 70_000)
    report = world.sync()
    assert report.status == 2
    (failure,) = report.images[0].failures
    assert failure.startswith(f"{bad} (xxx")
    assert "name" in failure
    assert world.stored().keys() == {good}
    world.edit(bad, name="short")
    assert world.sync().status == 0
    assert world.stored().keys() == {good, bad}


class Meanwhile:
    """A listener that does something once, after a step."""

    def __init__(self, step, do):
        self._step, self._do = step, do

    def begin(self, images):
        pass

    def step(self, step, image=None):
        if step is self._step and self._do is not None:
            do, self._do = self._do, None
            do()

    def end(self, report):
        pass


def test_a_colleagues_change_while_it_syncs_is_not_overwritten(world):
    one = world.save(SQUARE)
    world.sync()
    world.edit(one, name="mine")
    report = world.sync(listener=Meanwhile(Step.PLANNED, lambda: world.change(one, name="hers")))
    assert report.status == 2
    assert "changed in the store meanwhile" in report.images[0].failures[0]
    assert world.store.get(one).content.name == "hers"
    assert world.shown()[one]["name"] == "mine"
    assert world.sync().status == 1


def test_a_colleagues_annotation_while_it_syncs_comes_with_the_next_one(world):
    world.draw(SQUARE)
    new = []
    report = world.sync(listener=Meanwhile(Step.PLANNED, lambda: new.append(world.save(OTHER))))
    assert report.status == 0
    assert new[0] not in world.shown()
    assert verbs(world.sync()) == {new[0]: Verb.ADD_TO_PROJECT}
    assert unchanged(world)


@pytest.mark.parametrize("step", [Step.PLANNED, Step.SIDE_FILE_FLUSHED, Step.BACKUP_WRITTEN])
def test_what_is_saved_in_qupath_while_it_syncs_is_not_overwritten(world, step):
    one, drawn = world.save(SQUARE), []
    report = world.sync(listener=Meanwhile(step, lambda: drawn.append(world.draw(OTHER))))
    assert report.status == 2
    assert "sync again" in report.images[0].failures[0]
    assert world.shown().keys() == set(drawn)
    assert world.sync().status == 0
    assert world.shown().keys() == world.stored().keys() == {one, *drawn}


def test_a_store_that_is_busy_is_waited_for(world, monkeypatch):
    monkeypatch.setattr("wsisam_server.annotations.sync.store_side.time.sleep", lambda _: None)
    drawn = world.draw(SQUARE)
    save, asked = world.store.save, []

    def busy(drafts, **said):
        asked.append(said["request_id"])
        if len(asked) < 3:
            raise WsiSamServerError(Reason.STORE_BUSY)
        return save(drafts, **said)

    monkeypatch.setattr(world.store, "save", busy)
    assert world.sync().status == 0
    assert len(asked) == 3
    assert len(set(asked)) == 1
    assert world.stored().keys() == {drawn}


def test_many_annotations_go_in_requests_that_messages_allow(world, monkeypatch):
    monkeypatch.setattr("wsisam_server.annotations.sync.store_side._BATCH", 3)
    monkeypatch.setattr("wsisam_server.annotations.store.lists.PAGE", 2)
    drawn = {world.draw(shapely.box(20 * number, 0, 20 * number + 9, 9)) for number in range(7)}
    batches = []
    save = world.store.save
    monkeypatch.setattr(world.store, "save", lambda drafts, **said: batches.append(len(drafts)) or save(drafts, **said))
    assert world.sync().status == 0
    assert batches == [3, 3, 1]
    assert world.stored().keys() == drawn
    monkeypatch.setattr("wsisam_server.annotations.sync.store_side._BATCH_BYTES", 1)
    for one in drawn:
        world.edit(one, name="new")
    world.sync()
    assert batches[3:] == [1] * 7
