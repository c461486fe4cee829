"""From annotated slides to files that training and evaluation read."""

import csv
import json
import resource
import shutil
from dataclasses import replace

import numpy as np
import pytest
import shapely
from PIL import Image

from support.drawn import drawn, square
from support.server import picture
from wsisam_server.learning.dataset_export import DatasetExportError
from wsisam_server.learning.datasets import load, objects, read_manifest

pytestmark = pytest.mark.slow

SQUARES = [square(20, 30, 40, 1), square(500, 400, 60, 2), square(700, 100, 50, 3), square(840, 650, 40, 4)]


def everything(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def labels(out):
    return list(csv.DictReader((out / "labels.csv").read_text().splitlines()))


def test_windows_hold_the_slides_pixels_and_the_objects(slide_file, making, tmp_path):
    slides = {slide_file(0): SQUARES, slide_file(1): SQUARES[:1]}
    report = making(slides)
    rows = read_manifest(report.manifest)
    assert {row.split for row in rows} == {"train", "val"}
    assert report.objects.total() == sum(len(objects(load(row).labels)) for row in rows) == 5
    with report.manifest.open() as file:
        for row, said in zip(rows, csv.DictReader(file), strict=True):
            seed = int(row.image.parent.name.removeprefix("case-")[0])
            sample = load(row)
            x, y = int(said["x"]), int(said["y"])
            height, width = sample.labels.shape
            assert np.array_equal(sample.image, picture(seed)[y : y + height, x : x + width])
            for item in objects(sample.labels):
                x0, y0, x1, y1 = item.box
                assert any(one.shape.equals(shapely.box(x + x0, y + y0, x + x1, y + y1)) for one in SQUARES)
    # A slide trains or validates, all of it.
    assert all(
        len({row.split for row in rows if row.image.parent.name == name}) == 1
        for name in {row.image.parent.name for row in rows}
    )


def test_each_label_names_its_annotation(slide_file, making, tmp_path):
    nucleus = square(510, 410, 20, 5, version="77", class_name="Nucleus", author="anna", model="m", weights_hash="ab")
    making({slide_file(0): [*SQUARES, nucleus], slide_file(1): SQUARES})
    (said,) = [row for row in labels(tmp_path / "out") if row["annotation"] == str(nucleus.id)]
    assert (said["version"], said["class"], said["author"], said["model"], said["weights"]) == (
        "77",
        "Nucleus",
        "anna",
        "m",
        "ab",
    )
    mask = np.asarray(Image.open(tmp_path / "out" / said["mask"]))
    assert np.count_nonzero(mask == int(said["label"])) == 400
    record = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert record["source"] == {"store": "here"}
    assert record["objects"] == {"train": 5, "val": 4} or record["objects"] == {"train": 4, "val": 5}
    assert len(record["slide_files"]) == 2


def test_a_second_run_makes_the_same_and_reads_no_slide_again(slide_file, making, tmp_path):
    slides = {slide_file(0): SQUARES, slide_file(1): SQUARES}
    first = making(slides)
    before = everything(tmp_path / "out")
    again = making(slides)
    assert everything(tmp_path / "out") == before
    assert again.reused == len(before) - 3 > first.reused == 0
    making(slides, tmp_path / "elsewhere")
    assert everything(tmp_path / "elsewhere") == before


def test_a_run_that_was_cut_off_is_gone_on_with(slide_file, making, tmp_path):
    slides = {slide_file(0): SQUARES, slide_file(1): SQUARES}

    def stop(done, total):
        if done == total - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        making(slides, progress=stop)
    assert not (tmp_path / "out" / "manifest.csv").exists()
    assert making(slides).reused > 4
    whole = everything(tmp_path / "out")
    making(slides, tmp_path / "elsewhere")
    assert everything(tmp_path / "elsewhere") == whole


def test_what_was_drawn_meanwhile_comes_in_and_the_rest_stays(slide_file, making, tmp_path):
    first, second = slide_file(0), slide_file(1)
    making({first: SQUARES, second: SQUARES})
    before = everything(tmp_path / "out")
    report = making({first: [*SQUARES, square(300, 300, 30)], second: SQUARES})
    assert report.objects.total() == 9
    kept = [path for path, content in everything(tmp_path / "out").items() if before.get(path) == content]
    assert len(kept) == len(before) - 3
    assert report.unnamed <= 1


def test_one_slide_is_divided_and_no_pixel_is_in_both_parts(slide_file, making):
    report = making({slide_file(0): SQUARES})
    assert "one slide only" in report.notes[0]
    spans = {"train": [], "val": []}
    with report.manifest.open() as file:
        for said in csv.DictReader(file):
            with Image.open(report.manifest.parent / said["image"]) as image:
                width = image.width
            spans[said["split"]].append((int(said["x"]), int(said["x"]) + width))
    assert max(end for _, end in spans["train"]) <= min(start for start, _ in spans["val"])


def test_what_cannot_be_used_is_counted(slide_file, making, tmp_path):
    lost = tmp_path / "gone.svs"
    several = [
        drawn(shapely.Point(5, 5)),
        drawn(shapely.LineString([(0, 0), (9, 9)])),
        square(5000, 10, 20),
        square(100.6, 100.6, 0.3),
        square(890, 690, 40),
        *SQUARES[:3],
    ]
    report = making({slide_file(0): several, slide_file(1): SQUARES, lost: SQUARES})
    assert report.left_out == {"points and lines": 2, "outside their slide": 1, "too small to cover a pixel": 1}
    assert "not on this machine" in report.missing["gone.svs"]
    assert report.objects.total() == 8


def test_copies_of_a_slide_count_as_one(slide_file, making, tmp_path):
    first = slide_file(0)
    copy = tmp_path / "copy.png"
    shutil.copy(first, copy)
    again = [replace(one) for one in SQUARES[1:]]
    report = making({first: SQUARES[:2], copy: again, slide_file(1): SQUARES})
    assert report.slides.total() == 2
    assert report.objects.total() == 8
    assert report.left_out == {"on a slide that is there twice, by the same id": 1}


def test_another_file_under_the_old_name_is_refused(slide_file, tmp_path):
    from wsisam_server.learning.dataset_export import AnnotatedSlide, SlideFinder

    path = slide_file(0)
    wanted = AnnotatedSlide(path.name, (path.as_uri(),), tuple(SQUARES), identity="0" * 64)
    with pytest.raises(DatasetExportError, match="another file than the one that was annotated"):
        SlideFinder().open(wanted)


def test_a_moved_slide_is_found_by_its_name_and_content(slide_file, tmp_path):
    from wsisam_server.learning.dataset_export import AnnotatedSlide, SlideFinder
    from wsisam_server.slides import fingerprint

    slide_file(0, name="case 7.png", folder=tmp_path / "a")
    right = slide_file(1, name="case 7.png", folder=tmp_path / "b")
    wanted = AnnotatedSlide("case 7.png", ("file:///nowhere/case%207.png",), (), identity=fingerprint(right))
    slide = SlideFinder([tmp_path]).open(wanted)
    assert slide.info.fingerprint == fingerprint(right)
    slide.close()


def test_nothing_to_do_is_said_with_the_reason(tmp_path, making):
    with pytest.raises(DatasetExportError, match="not on this machine"):
        making({tmp_path / "gone.svs": SQUARES})


@pytest.fixture
def no_file_larger_than():
    """A limit of the operating system's, as a disk that has no more room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_without_room_is_said_and_nothing_half_is_left(slide_file, making, tmp_path, no_file_larger_than):
    slides = {slide_file(0): SQUARES, slide_file(1): SQUARES}
    making(slides)
    whole = everything(tmp_path / "out")
    no_file_larger_than(60_000)
    with pytest.raises(DatasetExportError, match="make room, and run the same command again"):
        making(slides, tmp_path / "elsewhere")
    # A table of before stays, and what it names.
    with pytest.raises(DatasetExportError, match="make room"):
        making({path: [*objects, square(300, 100, 90)] for path, objects in slides.items()})
    assert everything(tmp_path / "out").items() >= whole.items()
    no_file_larger_than(resource.RLIM_INFINITY)
    assert all(whole[path] == content for path, content in everything(tmp_path / "elsewhere").items())
    making(slides, tmp_path / "elsewhere")
    assert everything(tmp_path / "elsewhere") == whole
