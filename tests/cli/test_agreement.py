"""`wsisam agreement` on files, and on users of a store."""

import json
import uuid

import pytest
from click.testing import CliRunner
from PIL import Image

from wsisam_server.cli import main


def feature(x, name):
    ring = [[x, 0], [x + 10, 0], [x + 10, 10], [x, 10], [x, 0]]
    return {
        "type": "Feature",
        "id": str(uuid.uuid4()),  # else equal objects of two people would be one in the store
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": name, "color": [200, 0, 0]}},
    }


@pytest.fixture
def files(tmp_path):
    objects = {
        "anna": [feature(0, "Tumor"), feature(100, "Stroma"), feature(200, "Tumor")],
        "ben": [feature(0, "Tumor"), feature(101, "Tumor")],
    }
    paths = []
    for name, features in objects.items():
        path = tmp_path / f"{name}.geojson"
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
        paths.append(path)
    return paths


def run(*arguments, status=0):
    done = CliRunner().invoke(main, [*map(str, arguments)])
    assert done.exit_code == status, done.output
    assert "Traceback" not in done.output
    return done


def test_a_table_for_people(files):
    lines = run("agreement", *files).stdout.splitlines()
    assert lines[2].split() == ["class", "A", "B", "both", "F1", "Dice"]
    assert lines[3].split() == ["Stroma", "1", "0", "0", "0.000", "-"]
    assert lines[4].split() == ["Tumor", "2", "2", "1", "0.500", "1.000"]
    assert lines[5].split() == ["all", "3", "2", "2", "0.800", "0.950"]
    assert "kappa" in lines[6]
    assert lines[7].strip() == "1 x Stroma for A, Tumor for B"


def test_json_for_programs(files):
    said = json.loads(run("agreement", *files, "--json").stdout)
    assert said["objects"]["both"] == 2
    assert said["kappa"] == 0
    assert {"first": "Stroma", "second": "Tumor", "objects": 1} in said["confusion"]


def test_a_picture_shows_what_only_one_has(files, tmp_path):
    run("agreement", *files, "--picture", tmp_path / "differences.png")
    with Image.open(tmp_path / "differences.png") as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
    assert (0, 114, 178) in colours
    assert (204, 121, 167) in colours


def test_users_of_a_store(files, tmp_path):
    store = tmp_path / "store.db"
    for path in files:
        run("import", path, "--slide-id", "case-7", "--author", path.stem, "--store", store)
    table = run("agreement", "anna", "ben", "--slide-id", "case-7", "--store", store).stdout
    assert table.splitlines()[5].split() == ["all", "3", "2", "2", "0.800", "0.950"]
    mixed = run("agreement", "anna", files[1], "--slide-id", "case-7", "--store", store).stdout
    assert mixed.splitlines()[2:] == table.splitlines()[2:]
    assert (
        "no annotations of eva"
        in run("agreement", "eva", "ben", "--slide-id", "case-7", "--store", store, status=1).output
    )


def test_what_is_wrong_is_said_before_anything_is_read(files, tmp_path):
    assert "--slide" in run("agreement", "anna", files[1], status=2).output
    assert "there is no folder" in run("agreement", *files, "--picture", tmp_path / "no" / "x.png", status=2).output
