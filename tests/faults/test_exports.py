"""Files that go out, and data sets, out of reports: each with the value that is right."""

import json
import shutil

import pytest
import shapely
import shapely.affinity
from click.testing import CliRunner

from wsisam_server.cli import main


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("WSISAM_STORE", str(tmp_path / "store.sqlite"))
    return tmp_path / "store.sqlite"


def run(*arguments):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def coco(path, *more):
    run("export", path, "--format", "coco", *more)
    return json.loads(path.read_text())


def ids(exported):
    return {category["name"]: category["id"] for category in exported["categories"]}


def test_22_a_class_has_one_id_in_every_export(faults, store, tmp_path):
    folder, slides = faults / "22-coco-categories", faults / "50-coco-same-file-name"
    run("import", folder / "train.geojson", "--slide", slides / "a" / "slide.png", "--project", "train")
    run("import", folder / "val.geojson", "--slide", slides / "b" / "slide.png", "--project", "val")
    train = coco(tmp_path / "train.json", "--project", "train")
    val = coco(tmp_path / "val.json", "--project", "val")
    assert ids(train) == ids(val) == {"Stroma": 1, "Tumor": 2}


def test_23_what_qupath_ignores_is_no_training_object(faults, store, tmp_path):
    text = (faults / "23-dataset-ignore-classes" / "a.geojson").read_text()
    found = json.loads(text)
    drawn = found["features"] if isinstance(found, dict) else found
    for one in drawn:
        one["geometry"] = shapely.geometry.mapping(
            shapely.affinity.scale(shapely.geometry.shape(one["geometry"]), 0.25, 0.25, origin=(0, 0))
        )
    (tmp_path / "a.geojson").write_text(json.dumps(drawn))
    slide = faults / "44-overlapping-parts" / "slide.png"
    run("import", tmp_path / "a.geojson", "--slide", slide)
    output = run("dataset", store, tmp_path / "set", "--slides", slide.parent)
    assert "3 annotations" in output
    table = (tmp_path / "set" / "labels.csv").read_text()
    assert "*" not in table
    assert len(table.splitlines()) > 1
    run("dataset", store, tmp_path / "all", "--slides", slide.parent, "--keep-ignored")
    assert "*" in (tmp_path / "all" / "labels.csv").read_text()


@pytest.mark.parametrize(("name", "area"), [("two-parts", 17_500), ("same-twice", 10_000), ("two-holes", 8_300)])
def test_44_parts_and_holes_that_overlap(faults, store, tmp_path, name, area):
    folder = faults / "44-overlapping-parts"
    run("import", folder / f"{name}.geojson", "--slide", folder / "slide.png", "--repair")
    (one,) = coco(tmp_path / "out.json")["annotations"]
    assert one["area"] == pytest.approx(area)


def test_50_two_slides_of_one_name_are_two_images(faults, store, tmp_path):
    folder = faults / "50-coco-same-file-name"
    for one in "ab":
        run("import", folder / f"{one}.geojson", "--slide", folder / one / "slide.png")
    names = [image["file_name"] for image in coco(tmp_path / "out.json")["images"]]
    assert sorted(names) == ["a/slide.png", "b/slide.png"]


def test_51_what_lies_beyond_the_image_is_cut(faults, store, tmp_path):
    folder = faults / "51-coco-outside-the-image"
    run("import", folder / "edge.geojson", "--slide", folder / "slide.png")
    found = {(tuple(one["bbox"]), one["area"]) for one in coco(tmp_path / "out.json")["annotations"]}
    assert found == {((0, 0, 40, 40), 1600), ((560, 360, 40, 40), 1600)}


def test_52_a_class_of_two_spellings_is_one(faults, store, tmp_path):
    folder = faults / "52-one-class-two-spellings"
    run("import", folder / "classes.geojson", "--slide", folder / "slide.png")
    assert set(ids(coco(tmp_path / "out.json"))) == {"Stroma", "Tumor: Positive"}
    for spelling in ("Tumor: Positive", "Tumor:Positive"):
        out = tmp_path / "class.geojson"
        run("export", out, "--slide", folder / "slide.png", "--class", spelling)
        assert len(json.loads(out.read_text())["features"]) == 3


def test_53_an_export_of_nothing_takes_the_place_of_the_earlier_one(faults, store, tmp_path):
    folder = faults / "53-old-result-stays"
    slide = shutil.copy(folder / "objects.png", tmp_path / "objects.png")
    run("import", folder / "one.geojson", "--slide", slide)
    out = tmp_path / "out.geojson"
    run("export", out, "--slide", slide)
    assert json.loads(out.read_text())["features"]
    from wsisam_server.annotations.store import AnnotationFilter, Target, listed, open_store

    with open_store(str(store)) as place:
        (one,) = listed(place, AnnotationFilter())[0].values()
        place.delete([Target(one.id, one.revision)], author="anna", request_id="delete")
    run("export", out, "--slide", slide)
    assert json.loads(out.read_text())["features"] == []
