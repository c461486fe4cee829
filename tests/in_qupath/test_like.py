"""WsiSamLike.groovy in a real QuPath: proposals that are taken and rejected in the window, and 'Run for project'."""

import re
import threading

import numpy as np
import pytest
import shapely
from PIL import Image
from scipy import ndimage

from wsisam_server.qupath import find_bundle

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(900)]

CELLS = [(60 + 90 * column, 60 + 90 * row) for row in range(5) for column in range(7)]
RADIUS = 16

SHOW = """
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.ROIs

clearAllObjects()
if (getProjectEntry().getImageName() == 'first.png')
    [[60, 60], [150, 60], [240, 60]].each { x, y ->
        addObject(PathObjects.createAnnotationObject(ROIs.createEllipseROI(x - 18, y - 18, 36, 36, ImagePlane.getDefaultPlane()), PathClass.fromString('Cell')))
    }
"""


def cells(seed):
    """Dark cells in pale tissue, a little unlike each other."""
    random = np.random.default_rng(seed)
    image = np.full((480, 660, 3), (231, 197, 216), float)
    rows, columns = np.mgrid[:480, :660]
    for x, y in CELLS:
        radius = RADIUS + random.uniform(-2, 2)
        image[(columns - x) ** 2 + (rows - y) ** 2 < radius**2] = np.array((104, 62, 132)) + random.normal(0, 6, 3)
    texture = ndimage.gaussian_filter(random.normal(0, 1, (480, 660, 1)), (2, 2, 0)) * 30
    image += texture + random.normal(0, 5, image.shape)
    return np.clip(ndimage.gaussian_filter(image, (0.7, 0.7, 0)), 0, 255).astype(np.uint8)


def met(shape):
    """Numbers of the cells that a shape shows."""
    truth = [shapely.Point(one).buffer(RADIUS) for one in CELLS]
    return [at for at, one in enumerate(truth) if shape.intersection(one).area > 0.5 * shape.union(one).area]


@pytest.fixture(scope="module")
def slides(server):
    paths = [server.root / name for name in ("first.png", "second.png")]
    for seed, path in enumerate(paths):
        Image.fromarray(cells(seed)).save(path)
    return paths


@pytest.fixture(scope="module")
def script(qupath):
    return next(one for one in find_bundle().scripts if one.name == "WsiSamLike.groovy")


@pytest.fixture(scope="module")
def seen(qupath, server, slides, repository, tmp_path_factory):
    """What the drive through the window saw, and how often the server had encoded a window by its marks."""
    marks, over = tmp_path_factory.mktemp("marks"), threading.Event()
    runs = {"before": server.encoder_runs}

    def watch():
        while not over.wait(0.05):
            for mark in marks.iterdir():
                runs[mark.name] = server.encoder_runs
                mark.unlink()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        found = qupath.drive(
            repository / "tests" / "in_qupath" / "drive_like.groovy",
            tmp_path_factory.mktemp("window") / "seen.json",
            **{
                "drive.image": slides[0],
                "drive.server": server.target,
                "drive.marks": marks,
                "drive.cells": ";".join(f"{x},{y}" for x, y in CELLS),
            },
        )
    finally:
        over.set()
        watcher.join()
    return found | {"runs": runs}


def number_shown(text):
    return int(re.match(r"(\d+) objects? shown", text).group(1)) if re.match(r"\d", text) else 0


def test_one_slider_says_how_sure(seen):
    default, surest, more = map(number_shown, seen["said"])
    assert surest <= default <= more
    assert default >= len(CELLS) / 2
    assert "% of that kind" in seen["said"][0]


def test_what_is_taken_has_the_class_and_what_was_clicked_is_not_among_it(seen):
    taken = [met(shapely.from_wkt(one["wkt"])) for one in seen["taken"]]
    assert sum(map(bool, taken)) >= 0.9 * len(taken)
    rejected = CELLS.index(tuple(seen["rejected"]))
    assert [rejected] not in taken
    assert {one["className"] for one in seen["taken"]} == {"Cell"}
    assert all(0 <= float(one["metadata"]["wsisam.similarity"]) <= 1 for one in seen["taken"])


def test_the_second_round_runs_no_encoder_and_proposes_nothing_twice(seen):
    assert seen["runs"]["before"] < seen["runs"]["first"] == seen["runs"]["second"]
    assert not seen["shownAgain"]
    assert "taken so far" in seen["again"]


def test_the_step_is_recorded_and_nothing_is_left(seen):
    assert seen["steps"] == ["WSI-SAM find more like this"]
    assert (seen["overlays"], seen["left"], seen["errors"]) == (0, [], [])


def test_without_anything_that_shows_it_it_says_what_to_do(seen):
    assert "Select annotations" in seen["nothing"]


def test_a_run_for_a_project_takes_exemplars_of_the_other_images(
    qupath, server, slides, script, make_project, dump, tmp_path
):
    project = make_project(*slides) / "project.qpproj"
    (show := tmp_path / "show.groovy").write_text(SHOW)
    qupath.script(show, project=project, save=True)
    said = qupath.script(
        script,
        f"server={server.target}",
        "like=class:Cell",
        "of=project",
        "which=image",
        project=project,
        image="second.png",
        save=True,
    )
    assert "like the 3 shown" in said
    (step,) = dump(project, "second.png")[1]
    assert step["name"] == "WSI-SAM find more like this"
    objects = int(re.search(r"(\d+) objects like", said).group(1))
    assert objects >= 10
    again = tmp_path / "again.groovy"
    again.write_text(step["script"])
    said = qupath.script(again, project=project, image="second.png", save=True)
    # With those as exemplars, too, it may find the rest; no cell twice.
    assert objects + int(re.search(r"(\d+) objects? like", said).group(1)) <= len(CELLS) + 2
