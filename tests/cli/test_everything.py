"""`wsisam everything`, in this process and against a server, on a slide made here."""

import json

import pytest
import shapely
from click.testing import CliRunner

from support.line import Line
from support.server import DISCS, iou
from wsisam_server.cli import main
from wsisam_server.client import Client, ServerError
from wsisam_server.core.shapes import collection, feature

SIZES = ("--min-size", 70, "--max-size", 150)


def run(*arguments):
    return CliRunner().invoke(main, ["everything", *map(str, arguments)])


def write(path, *shapes):
    path.write_text(json.dumps(collection(feature(shape, id=str(n)) for n, shape in enumerate(shapes))))
    return path


@pytest.mark.parametrize("remote", [False, True])
def test_proposals_go_to_geojson_with_their_class(slide, target, tmp_path, remote):
    region = write(tmp_path / "region.geojson", shapely.box(160, 160, 240, 240))
    out, overlay = tmp_path / "out.geojson", tmp_path / "out.png"
    server = ("--server", target) if remote else ()
    done = run(slide, "--region", region, *SIZES, "--class", "Gland", "--geojson", out, "--overlay", overlay, *server)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("1 objects from ")
    (found,) = json.loads(out.read_text())["features"]
    assert found["properties"]["classification"] == "Gland"
    assert found["properties"]["measurements"]["WSI-SAM score"] > 0.5
    shape = shapely.geometry.shape(found["geometry"])
    assert iou(shape, "a") > 0.5  # of what lies in the region
    assert shape.difference(shapely.box(160, 160, 240, 240).buffer(1 / 32)).area == 0
    assert overlay.stat().st_size > 0


@pytest.mark.parametrize("remote", [False, True])
def test_what_looks_like_an_object_is_proposed_with_its_class(slide, target, tmp_path, remote):
    x, y, radius = DISCS["a"]
    shown = feature(shapely.Point(x, y).buffer(radius), id="1", classification="Disc")
    like, out = tmp_path / "like.geojson", tmp_path / "out.geojson"
    like.write_text(json.dumps(collection([shown])))
    server = ("--server", target) if remote else ()
    done = run(slide, "--box", "0,0,900,700", "--like", like, "--geojson", out, *server)
    assert done.exit_code == 0, done.output
    assert "should be right" in done.stdout
    found = json.loads(out.read_text())["features"]
    assert all(one["properties"]["classification"] == "Disc" for one in found)
    assert all(0 <= one["properties"]["measurements"]["WSI-SAM similarity"] <= 1 for one in found)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--like"),
        (("--unlike", __file__), "are for --like"),
        (("--like", __file__, "--min-size", 5), "both"),
    ],
)
def test_sizes_or_objects_are_needed(slide, options, said):
    done = run(slide, "--box", "0,0,900,700", *options)
    assert done.exit_code == 2
    assert said in done.stderr


def test_existing_objects_are_left_alone(slide, target, tmp_path):
    x, y, radius = DISCS["a"]
    existing = write(tmp_path / "there.geojson", shapely.Point(x, y).buffer(radius))
    out = tmp_path / "out.geojson"
    options = ("--box", "190,190,210,210", *SIZES, "--existing", existing, "--geojson", out, "--server", target)
    done = run(slide, *options)
    assert done.exit_code == 0, done.output
    assert "existing" in done.stdout
    assert json.loads(out.read_text())["features"] == []


def test_a_connection_that_is_lost_on_the_way_changes_nothing(slide, target, tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole.geojson", tmp_path / "cut.geojson"
    options = ("--box", "100,100,400,300", *SIZES, "--geojson")
    assert run(slide, *options, whole, "--server", target).exit_code == 0
    line, answered = Line(target), Client.segment_everything

    def dropped(client, request):
        for number, answer in enumerate(answered(client, request)):
            if number == 1:
                line.drop()
            yield answer

    monkeypatch.setattr(Client, "segment_everything", dropped)
    done = run(slide, *options, cut, "--server", line.target)
    assert done.exit_code == 0, done.output
    assert line.connections == 2
    line.close()
    shapes = [[one["geometry"] for one in json.loads(path.read_text())["features"]] for path in (whole, cut)]
    assert shapes[0] == shapes[1] != []


def test_what_was_answered_before_a_connection_is_lost_is_written(slide, target, tmp_path, monkeypatch):
    whole, part = tmp_path / "whole.geojson", tmp_path / "part.geojson"
    options = ("--box", "100,100,400,300", *SIZES, "--server", target, "--geojson")
    assert run(slide, *options, whole).exit_code == 0
    answered = Client.segment_everything

    def cut(client, request):
        for number, answer in enumerate(answered(client, request)):
            if number and number == answer.windows_total:
                raise ServerError("UNAVAILABLE", "", "the line was cut", {})
            yield answer

    monkeypatch.setattr(Client, "segment_everything", cut)
    done = run(slide, *options, part)
    assert done.exit_code == 1
    assert "What was found before is kept." in done.output
    before = json.loads(part.read_text())["features"]
    everything = [one["geometry"] for one in json.loads(whole.read_text())["features"]]
    assert all(one["geometry"] in everything for one in before)

    monkeypatch.setattr(Client, "segment_everything", lambda *_: _refused())
    untouched = part.read_text()
    assert run(slide, *options, part).exit_code == 1
    assert part.read_text() == untouched


def _refused():
    yield from ()
    raise ServerError("UNAVAILABLE", "", "no line at all", {})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (SIZES, "--region or --box"),
        (("--box", "1,1,9,9", "--min-size", 5), "--max-size"),
        (("--box", "1,1,9,9", "--min-size", 5, "--max-size", 3), "min_size < max_size"),
        (("--box", "-50,-50,-10,-10", *SIZES), "outside the slide"),
        (("--box", "0,0,900,700", "--min-size", 1, "--max-size", 2), "smaller region"),
    ],
)
def test_what_is_wrong_is_said(slide, target, options, said):
    done = run(slide, *options, "--server", target)
    assert done.exit_code != 0
    assert said in done.output
    assert "Traceback" not in done.output


def test_a_file_without_areas(slide, tmp_path):
    done = run(slide, "--region", write(tmp_path / "points.geojson", shapely.Point(5, 5)), *SIZES)
    assert done.exit_code == 1
    assert "no area" in done.output
