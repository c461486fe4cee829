"""Accidents that people report of their projects: each is seen, named, and costs nobody's work."""

import json
import shutil

import pytest
import shapely
from PIL import Image

from wsisam_server.annotations.sync.errors import SyncError
from wsisam_server.annotations.sync.plan import Resolution, Side, Verb
from wsisam_server.annotations.sync.report import Outcome

SQUARE = shapely.box(10, 10, 60, 50)
OTHER = shapely.box(200, 200, 260, 250)


def rewrite(world, change):
    """Edits the project file by hand."""
    said = json.loads(world.project.read_text())
    change(said["images"])
    world.project.write_text(json.dumps(said))


def duplicate(world, number="3", *, first=False, slide=None):
    """A copy of the first entry with its data, as QuPath makes it for a second reader."""

    def copy(images):
        entry = json.loads(json.dumps(images[0])) | {"entryID": int(number), "imageName": "reader 2"}
        if slide is not None:
            entry["serverBuilder"]["uri"] = slide.as_uri()
        images.insert(0 if first else len(images), entry)

    rewrite(world, copy)
    shutil.copytree(world.folder / "data/1", world.folder / "data" / number)


def of(report, number):
    (image,) = [image for image in report.images if image.image.id == number]
    return image


# A copy of an entry


@pytest.mark.parametrize("chosen", ["*", "reader 2"])
def test_of_an_entry_and_its_copy_one_is_synced_whatever_is_chosen(world, chosen):
    one, two = world.draw(SQUARE, name="one"), world.draw(OTHER, name="two")
    if chosen == "*":
        world.sync()
    duplicate(world)
    world.delete(one, image="3")
    world.edit(two, image="3", name="second reader's")
    for _ in range(2):
        report = world.sync(images=chosen)
        copy = of(report, "3")
        assert copy.outcome is Outcome.UNMATCHED
        assert "the same slide as first.png (number 1)" in copy.problems[0]
    world.sync()
    assert {said.content.name for said in world.stored().values()} == {"one", "two"}
    assert {item["name"] for item in world.shown("3").values()} == {"second reader's"}


def test_the_entry_that_was_synced_stays_the_one_when_its_copy_comes_before_it(world):
    one = world.draw(SQUARE)
    world.sync()
    duplicate(world, first=True)
    world.delete(one, image="3")
    report = world.sync()
    assert of(report, "3").outcome is Outcome.UNMATCHED
    assert of(report, "1").outcome is Outcome.SKIPPED
    assert world.stored().keys() == {one}


def test_a_copy_whose_slide_lies_elsewhere_is_a_copy_too(world, tmp_path):
    one = world.draw(SQUARE)
    copied = shutil.copy(world.slides[0], tmp_path / "copied.png")
    duplicate(world, slide=tmp_path / "copied.png")
    world.delete(one, image="3")
    report = world.sync(images="reader 2")
    assert copied
    assert of(report, "3").outcome is Outcome.UNMATCHED
    world.sync()
    assert world.stored().keys() == {one}


def test_when_the_entry_is_gone_its_copy_is_synced_without_the_record_of_the_other(world):
    one, two = world.draw(SQUARE), world.draw(OTHER)
    world.sync()
    duplicate(world)
    world.delete(one, image="3")
    rewrite(world, lambda images: images.pop(0))
    report = world.sync()
    assert [action.verb for action in of(report, "3").actions] == [Verb.ADD_TO_PROJECT]
    assert world.stored().keys() == world.shown("3").keys() == {one, two}


# The wrong slide


def test_a_file_of_the_same_name_does_not_stand_in_for_one_that_is_away(world, tmp_path):
    world.draw(SQUARE)
    away = tmp_path / "unplugged"
    away.mkdir()
    picture = tmp_path / "overview.png"
    shutil.copy(world.slides[0], picture)
    rewrite(world, lambda images: images[0]["serverBuilder"].update(uri=picture.as_uri()))
    picture.rename(away / "overview.png")
    Image.new("RGB", (900, 700), "red").save(world.folder / "overview.png")
    report = world.sync()
    image = of(report, "1")
    assert image.outcome is Outcome.UNMATCHED
    assert "lies beside the project" in image.problems[0]
    assert world.stored() == {}
    (away / "overview.png").rename(picture)
    assert world.sync().status == 0
    assert len(world.stored()) == 1
    # Now it is known what the slide holds: the same file beside the project is the slide, the other one is not.
    picture.rename(away / "overview.png")
    assert world.sync().images[0].outcome is Outcome.SKIPPED
    shutil.copy(away / "overview.png", world.folder / "overview.png")
    assert world.sync().images[0].slide_id == world.slide_id()


def test_another_file_at_the_slides_place_is_refused(world, tmp_path):
    picture = tmp_path / "slide.png"
    shutil.copy(world.slides[0], picture)
    rewrite(world, lambda images: images[0]["serverBuilder"].update(uri=picture.as_uri()))
    one = world.draw(SQUARE)
    world.sync()
    Image.new("RGB", (900, 700), "red").save(picture)
    world.edit(one, name="moved on")
    image = of(world.sync(), "1")
    assert image.outcome is Outcome.UNMATCHED
    assert "is not the slide that this image was synced with" in image.problems[0]
    assert world.stored()[one].content.name == ""


@pytest.mark.parametrize("kind", ["sparse", "color", "rotated", "of an extension"])
def test_what_is_no_plain_whole_slide_is_left_alone_and_the_others_go_on(world, kind):
    one, two = world.draw(SQUARE), world.draw(SQUARE, image="2")

    def other(images):
        inner = images[0]["serverBuilder"]
        images[0]["serverBuilder"] = {"builderType": kind, "builder": inner, "metadata": inner["metadata"]}

    rewrite(world, other)
    report = world.sync()
    assert report.status == 0
    assert of(report, "1").outcome is Outcome.UNMATCHED
    assert "only whole images are synced" in of(report, "1").problems[0]
    assert world.stored().keys() == {two} - {one}


# A data file that cannot be read


@pytest.mark.parametrize("accident", ["ended while saving", "data folder away", "data file away"])
def test_an_image_that_had_a_data_file_and_has_none_is_not_empty(world, accident):
    saved = {world.draw(SQUARE), world.draw(OTHER)}
    world.sync()
    data = world.folder / "data/1"
    if accident == "ended while saving":
        (data / "data.qpdata").rename(data / "data.qpdata.bkp")
    elif accident == "data folder away":
        shutil.rmtree(data)
    else:
        for path in data.iterdir():
            path.unlink()
    for _ in range(2):
        report = world.sync()
        assert report.status == 2
        assert of(report, "1").outcome is Outcome.FAILED
    assert world.sync(resolution=Resolution(Side.QUPATH)).status == 2
    assert world.stored().keys() == saved


def test_an_image_that_was_never_opened_is_empty(world):
    for name in ("data.qpdata", "summary.json"):
        (world.folder / "data/1" / name).unlink(missing_ok=True)
    for _ in range(2):
        assert world.sync().status == 0
    one = world.save(SQUARE)
    assert world.sync().status == 0
    assert world.shown().keys() == {one}
    for path in (world.folder / "data/1").iterdir():
        path.unlink()
    shutil.rmtree(world.folder / "wsisam-sync/images")
    assert world.sync().status == 2, "another way of syncing knows that it had a data file"


# One bad entry, one bad file


def test_an_entry_without_a_builder_does_not_stop_the_others(world):
    world.draw(SQUARE)
    two = world.draw(SQUARE, image="2")
    rewrite(world, lambda images: images[0].pop("serverBuilder"))
    report = world.sync()
    assert report.status == 0
    assert of(report, "1").outcome is Outcome.UNMATCHED
    assert world.stored().keys() == {two}


def test_entries_of_one_number_are_refused_by_name(world):
    world.draw(SQUARE)
    rewrite(world, lambda images: images[1].update(entryID=images[0]["entryID"]))
    report = world.sync()
    assert report.status == 2
    assert [image.outcome for image in report.images] == [Outcome.FAILED] * 2
    assert "second.png" in report.images[0].failures[0]
    assert "first.png" in report.images[1].failures[0]
    assert world.stored() == {}


@pytest.mark.parametrize("cut", ["half", "empty", "no list"])
def test_a_damaged_project_file_says_where_qupaths_backup_lies(world, cut):
    text = world.project.read_bytes()
    world.project.with_name("project.qpproj.backup").unlink(missing_ok=True)
    world.project.write_bytes({"half": text[: len(text) // 2], "empty": b"", "no list": b'{"images": 3}'}[cut])
    with pytest.raises(SyncError, match=r"is damaged .* data files .* not concerned") as caught:
        world.sync()
    assert "not beside it" in str(caught.value)
    world.project.with_name("project.qpproj.backup").write_bytes(text)
    with pytest.raises(SyncError, match=r"copy project\.qpproj\.backup over project\.qpproj"):
        world.sync()


@pytest.mark.parametrize("where", ["data folder", "record"])
def test_what_cannot_be_written_is_found_before_the_store_is_touched(world, where, monkeypatch):
    one = world.draw(SQUARE)
    world.draw(SQUARE, image="2")
    world.save(OTHER)
    folder = world.folder / ("data/1" if where == "data folder" else "wsisam-sync/backups/1")
    touch = type(folder).touch

    def read_only(path, *arguments, **more):
        if path.parent == folder:
            raise OSError(30, "Read-only file system")
        touch(path, *arguments, **more)

    monkeypatch.setattr(type(folder), "touch", read_only)
    report = world.sync()
    assert report.status == 2
    assert "cannot be written (Read-only file system)" in of(report, "1").failures[0]
    assert of(report, "2").outcome is Outcome.SYNCED
    assert one not in world.stored()


# What is said


def test_what_both_sides_deleted_is_not_counted_as_the_same(world):
    kept, gone = world.draw(SQUARE), world.draw(OTHER, name="first-0")
    world.sync()
    world.delete(gone)
    world.discard(gone)
    report = world.sync()
    assert of(report, "1").unchanged == 1
    assert of(report, "1").gone == [f"{gone} (first-0)"]
    shutil.rmtree(world.folder / "wsisam-sync")
    assert of(world.sync(), "1").unchanged == 1
    assert world.stored().keys() == {kept}


def test_what_is_left_out_is_named_in_every_sync(world):
    deep = world.draw(SQUARE, name="z 2", plane=[2, 0])
    nan = world.draw(OTHER, name="gland", measurements={"Score": float("nan")})
    for _ in range(2):
        problems = of(world.sync(), "1").problems
        assert any(line.startswith(f"{deep} (z 2): it lies on plane z = 2") for line in problems)
        assert any(line.startswith(f"{nan} (gland): 1 measurement is not a number") for line in problems)


def test_a_hole_outside_its_polygon_is_no_area_and_is_said(world):
    shell, hole = shapely.box(0, 0, 100, 100).exterior, shapely.box(200, 200, 240, 240).exterior
    one = world.draw(shapely.Polygon(shell, [hole]), name="odd")
    report = world.sync()
    assert world.stored()[one].content.shape.area == 10_000
    assert any(line.startswith(f"{one} (odd): its shape is not valid") for line in of(report, "1").problems)
    assert world.sync().status == 0
    assert world.stored()[one].revision == 1


def test_a_conflict_says_who_changed_what_and_when(world):
    one = world.save(SQUARE, name="gland")
    world.sync()
    world.edit(one, name="mine")
    world.change(one, name="hers")
    report = world.sync()
    (action,) = of(report, "1").conflicts
    assert "in the store (name by alice, 20" in action.reason
    assert of(report, "1").saved is not None
