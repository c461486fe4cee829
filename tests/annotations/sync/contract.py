"""What the product expects of QuPath's side. The double and a real QuPath pass the same tests."""

import uuid
from dataclasses import replace

import numpy as np
import pytest
import shapely

from annotations.sync.model import drawing
from annotations.sync.worlds import hexed
from wsisam_server.annotations.store import PathClass
from wsisam_server.annotations.sync.drawings import Edits
from wsisam_server.annotations.sync.errors import ImageError, NotKeptError
from wsisam_server.annotations.sync.likeness import differences, same_shape
from wsisam_server.annotations.sync.project import Project
from wsisam_server.annotations.sync.steps import NoListener

SQUARE = shapely.box(10, 10, 60, 50)
HOLED = shapely.Polygon([(10, 10), (90, 10), (90, 90), (10, 90)], [[(20.5, 20.5), (20.5, 40), (40, 40)]])
GRID = shapely.Polygon([(100.03125, 100.46875), (160.71875, 100.09375), (160.09375, 150.90625), (120.5, 170.125)])


class ProjectContract:
    """Needs a fixture `world`."""

    @pytest.fixture
    def project(self, world):
        return Project(world.project, world.tools.process(), NoListener())

    @pytest.fixture
    def image(self, project):
        return project.images()[0]

    def add(self, project, image, **drawings):
        before = project.read(image)
        return project.write(image, before, Edits(add=drawings), "g")

    def test_images_are_listed_with_what_identifies_them(self, world, project):
        first, second = project.images()
        assert (first.id, second.id) == ("1", "2")
        assert (first.name, second.name) == ("first.png", "second.png")
        assert first.uris[0].endswith("first.png")
        assert (first.size.width, first.size.height) == (900, 700)
        assert first.view == ""

    def test_an_image_without_objects(self, project, image):
        contents = project.read(image)
        assert (contents.drawings, contents.unusable, contents.generation, contents.stable) == ({}, {}, None, True)
        assert contents.data.sha256

    def test_what_is_added_is_read_back_with_everything(self, project, image):
        one, two = uuid.uuid4(), uuid.uuid4()
        said = drawing(
            shape=HOLED,
            path_class=PathClass("Tumor: Positive", 0x123456),
            name="Drüse 🔬",
            rgb=0xFEDCBA,
            locked=True,
            measurements={"a": 1.5, "b": -2e9},
            metadata={"k": "v\nw", "empty": ""},
        )
        after = self.add(project, image)
        assert after.drawings == {}
        after = project.write(image, after, Edits(add={one: said, two: drawing(path_class=None)}), "g")
        assert not differences(after.drawings[one], said)
        assert not differences(after.drawings[two], drawing(path_class=None))
        again = project.read(image)
        assert {key: found.digest for key, found in again.drawings.items()} == {
            key: found.digest for key, found in after.drawings.items()
        }
        assert (again.data, again.generation) == (after.data, "g")

    def test_the_servers_outlines_are_kept_to_the_last_bit_and_others_as_32_bit_floats(self, project, image):
        grid, holed, fine = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
        thirds = shapely.Polygon([(1 / 3, 1 / 7), (50 / 3, 1 / 7), (50 / 3, 90 / 7)])
        added = {grid: drawing(shape=GRID), holed: drawing(shape=HOLED), fine: drawing(shape=thirds)}
        after = project.write(image, project.read(image), Edits(add=added), "g").drawings
        for one, shape in ((grid, GRID), (holed, HOLED)):
            assert shapely.equals_exact(shapely.normalize(after[one].shape), shapely.normalize(shape), 0)
        vertices = shapely.get_coordinates(after[fine].shape)
        assert (vertices == vertices.astype(np.float32)).all()
        assert not shapely.equals_exact(shapely.normalize(after[fine].shape), shapely.normalize(thirds), 0)
        assert same_shape(after[fine].shape, thirds)

    @pytest.mark.parametrize(
        ("drawn", "area"),
        [
            ([(0, 0), (40, 40), (40, 0), (0, 40)], 800),
            ([(0, 0), (60, 0), (60, 60), (20, 60), (20, 20), (80, 20), (80, 40), (0, 40)], 3600),
        ],
        ids=["bowtie", "overlap"],
    )
    def test_polygons_that_cross_themselves_are_what_qupath_takes_them_for(self, world, project, image, drawn, area):
        one = world.draw(shapely.Polygon(drawn))
        contents = project.read(image)
        assert contents.drawings[one].shape.is_valid
        assert contents.drawings[one].shape.area == pytest.approx(area, rel=0.01)
        assert project.read(image).drawings[one].digest == contents.drawings[one].digest

    @pytest.mark.parametrize(
        "change",
        [
            {"shape": GRID},
            {"path_class": PathClass("Stroma", 1)},
            {"path_class": None},
            {"name": "new"},
            {"name": ""},
            {"rgb": 0x00FF00},
            {"rgb": None},
            {"locked": True},
            {"measurements": {"a": 2.0}},
            {"measurements": {}},
            {"metadata": {"other": "x"}},
        ],
        ids=str,
    )
    def test_an_update_changes_what_it_says_and_nothing_else(self, project, image, change):
        one, other = uuid.uuid4(), uuid.uuid4()
        was = drawing(name="old", rgb=0x102030, measurements={"a": 1.0, "b": 3.0}, metadata={"k": "v"})
        before = project.write(image, project.read(image), Edits(add={one: was, other: was}), "g")
        shall = replace(before.drawings[one], **change)
        after = project.write(image, before, Edits(update={one: (before.drawings[one], shall)}), "h")
        assert not differences(after.drawings[one], shall)
        assert after.drawings[other].digest == before.drawings[other].digest
        assert after.generation == "h"

    def test_what_is_removed_is_gone_and_the_rest_stays(self, project, image):
        one, two = uuid.uuid4(), uuid.uuid4()
        before = project.write(image, project.read(image), Edits(add={one: drawing(), two: drawing()}), "g")
        after = project.write(image, before, Edits(remove=[one]), "h")
        assert after.drawings.keys() == {two}

    def test_a_change_of_shape_in_qupath_forgets_measurements(self, world, project, image):
        """So that the product must know about it."""
        one = world.draw(SQUARE, measurements={"Area": 2000.0})
        world.edit(one, shape=HOLED)
        assert project.read(image).drawings[one].measurements == {}

    def test_a_file_that_was_saved_meanwhile_is_not_overwritten(self, world, project, image):
        before = project.read(image)
        one = world.draw(SQUARE)
        with pytest.raises(ImageError, match="sync again"):
            project.write(image, before, Edits(add={uuid.uuid4(): drawing()}), "g")
        assert world.shown().keys() == {one}

    def test_a_file_that_qupath_is_just_saving_is_not_overwritten(self, world, project, image):
        before = project.read(image)
        (world.folder / "data/1/data.qpdata.bkp").write_bytes(b"")
        with pytest.raises(ImageError, match="saving it right now"):
            project.write(image, before, Edits(add={uuid.uuid4(): drawing()}), "g")

    def test_qupath_keeps_the_mark_of_the_sync_when_it_saves(self, world, project, image):
        self.add(project, image)
        world.draw(SQUARE)
        assert project.read(image).generation == "g"

    def test_a_file_that_cannot_be_read_is_an_error(self, world, project, image):
        world.draw(SQUARE)
        world.tools.editor.poison(str(world.project), "1")
        with pytest.raises(ImageError, match="cannot read its data file"):
            project.read(image)

    @pytest.mark.parametrize(
        "damage",
        [lambda data: data[:-9], lambda data: data[:40], lambda data: data[:0], lambda data: b"nonsense" + data],
    )
    def test_a_damaged_file_is_an_error(self, world, project, image, damage):
        world.draw(SQUARE)
        path = world.folder / "data/1/data.qpdata"
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(ImageError, match="cannot read its data file"):
            project.read(image)

    def test_an_image_without_a_data_file(self, world, project, image):
        """One that was never opened: QuPath has saved nothing of it."""
        for name in ("data.qpdata", "summary.json"):
            (world.folder / "data/1" / name).unlink(missing_ok=True)
        before = project.read(image)
        assert (before.data, before.drawings) == (None, {})
        one = uuid.uuid4()
        after = project.write(image, before, Edits(add={one: drawing()}), "g")
        assert after.drawings.keys() == {one}
        assert world.shown().keys() == {one}

    def test_a_data_file_that_is_missing_is_not_taken_for_empty(self, world, project, image):
        world.draw(SQUARE)
        path = world.folder / "data/1/data.qpdata"
        path.rename(path.with_name("data.qpdata.bkp"))
        with pytest.raises(ImageError, match="ended while it did"):
            project.read(image)
        path.with_name("data.qpdata.bkp").unlink()
        with pytest.raises(ImageError, match="missing, though QuPath has saved one"):
            project.read(image)
        path.with_name("summary.json").unlink()
        with pytest.raises(ImageError, match="missing"):
            project.read(image, had_data=True)

    def test_measurements_that_are_no_numbers_stay_and_are_named(self, world, project, image):
        one = world.draw(SQUARE, measurements={"Score": float("nan"), "Area": 2.5})
        before = project.read(image)
        assert dict(before.drawings[one].measurements) == {"Area": 2.5}
        assert before.not_numbers == {one: ("Score",)}
        edits = Edits(update={one: (before.drawings[one], replace(before.drawings[one], name="new", shape=HOLED))})
        project.write(image, before, edits, "g")
        assert world.shown()[one]["measurements"] == {"Score": "nan", "Area": "2.5"}

    def test_ids_that_are_not_saved_are_noticed_and_can_be_saved(self, world, project, image):
        world.draw(SQUARE)
        world.tools.editor.forget_ids(str(world.project), "1")
        before = project.read(image)
        assert not before.stable
        assert before.drawings.keys() != project.read(image).drawings.keys()
        after = project.write(image, before, Edits(), "g")
        again = project.read(image)
        assert again.stable
        assert again.drawings.keys() == after.drawings.keys()

    def test_other_planes_and_double_ids_cannot_be_synced(self, world, project, image):
        plane, twice = world.draw(SQUARE, plane=[1, 2]), world.draw(SQUARE)
        world.draw(HOLED, id=str(twice))
        contents = project.read(image)
        assert contents.drawings == {}
        assert "z = 1, t = 2" in contents.unusable[str(plane)]
        assert "several" in contents.unusable[str(twice)]
        assert hexed(SQUARE)

    def test_what_is_not_kept_is_said_and_nothing_is_written(self, world, project, image):
        """Smaller than a step of 32-bit floats there: nothing is left of it."""
        before, one = world.files(), uuid.uuid4()
        speck = shapely.Polygon([(600_000.01, 10), (600_000.012, 10), (600_000.011, 10.5)])
        with pytest.raises((NotKeptError, ImageError)) as caught:
            project.write(
                image, project.read(image), Edits(add={one: drawing(shape=speck), uuid.uuid4(): drawing()}), "g"
            )
        assert isinstance(caught.value, NotKeptError)
        assert caught.value.problems.keys() == {one}
        assert world.files() == before

    def test_no_strange_files_are_left(self, world, project, image):
        (world.folder / "data/1/data.qpdata.wsisam-old").write_bytes(b"left by a killed sync")
        self.add(project, image)
        names = {path.name for path in (world.folder / "data/1").iterdir()}
        assert names <= {"data.qpdata", "summary.json", "server.json", "thumbnail.jpg"}
