"""`wsisam segment`, in this process and against a server, on a slide made here."""

import json
import re

import pytest
import shapely
from click.testing import CliRunner
from PIL import Image

from support.server import DISCS, around, box, iou, picture, write_picture
from wsisam_server.cli import main
from wsisam_server.cli.prompts import describe
from wsisam_server.client import Client

_BOX = around("a").box
BOX = f"{_BOX.x0:g},{_BOX.y0:g},{_BOX.x1:g},{_BOX.y1:g}"


def run(*arguments):
    return CliRunner().invoke(main, ["segment", *map(str, arguments)])


@pytest.mark.parametrize("remote", [False, True])
def test_outlines_go_to_geojson_and_overlay(slide, real_target, tmp_path, remote):
    geojson, overlay = tmp_path / "out.geojson", tmp_path / "out.png"
    server = ("--server", real_target) if remote else ()
    done = run(slide, "--box", BOX, "--box", "510,160,690,340", "--geojson", geojson, "--overlay", overlay, *server)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("score") == 2
    features = json.loads(geojson.read_text())["features"]
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    assert iou(shapes[0], "a") > 0.9
    assert iou(shapes[1], "b") > 0.9
    assert features[0]["properties"]["metadata"]["wsisam.prompt"] == f"--box {BOX}"
    with Image.open(overlay) as drawn:
        assert max(drawn.size) == 1400


def test_both_ways_give_the_same_outline(slide, real_target, tmp_path):
    results = []
    for number, server in enumerate(((), ("--server", real_target))):
        path = tmp_path / f"{number}.geojson"
        done = run(slide, "--box", BOX, "--point", "200,200", "--point", "20,20,-", "--geojson", path, *server)
        assert done.exit_code == 0, done.output
        results.append(json.loads(path.read_text())["features"][0]["geometry"])
    assert results[0] == results[1]


def test_the_working_scale_can_be_chosen(slide, target):
    done = run(slide, "--box", BOX, "--downsample", "1.5", "--server", target)
    assert "downsample 1.5" in done.stdout


def outlined_coarsely(slide, path, *options):
    """What is said of disc b in a field in which it is 11 cells wide, its outline, and (scale, windows) of its border."""
    done = run(slide, "--box", "504,154,696,346", "--downsample", "16", "--geojson", path, *options)
    assert done.exit_code == 0, done.output
    border = re.search(r"border at ([\d.]+) in (\d+) window", done.stdout)
    shape = shapely.geometry.shape(json.loads(path.read_text())["features"][0]["geometry"])
    return done.stdout, shape, border and (float(border[1]), int(border[2]))


def test_a_refined_border_is_nearer_the_object_and_its_scale_is_said(slide, real_target, tmp_path):
    path, server = tmp_path / "out.geojson", ("--server", real_target)
    _, coarse, none = outlined_coarsely(slide, path, *server)
    assert none is None
    said, fine, (scale, windows) = outlined_coarsely(slide, path, "--refine", "2", *server)
    assert scale == 2
    assert windows > 1
    assert "finer needs" not in said
    assert 1 - iou(fine, "b") < (1 - iou(coarse, "b")) / 2

    bound = windows - 1
    said, bounded, (scale, windows) = outlined_coarsely(
        slide, path, "--refine", "2", "--refine-windows", bound, *server
    )
    assert scale > 2
    assert windows <= bound
    assert "finer needs more --refine-windows" in said
    assert iou(coarse, "b") < iou(bounded, "b") < iou(fine, "b")

    # Without a server, that scale and not the bound.
    assert outlined_coarsely(slide, path, "--refine", scale)[1].equals(bounded)


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ((), 2, "at least one --box, --point or --shape"),
        (("--box", "1,2,3"), 2, "x0,y0,x1,y1"),
        (("--box", "1,2,x,4"), 2, "numbers"),
        (("--point", "1"), 2, "x,y"),
        (("--box", BOX, "--box", BOX, "--point", "5,5"), 2, "points go with one box, one shape or none"),
        (("--box", "9,9,1,1"), 2, "x0 < x1"),
        (("--box", "nan,0,1,1"), 2, "numbers"),
        (("--box", BOX, "--geojson", "/no/such/folder/x.geojson"), 2, "no folder"),
        (("--box", BOX, "--tolerance", "-1"), 2, "--tolerance"),
        (("--box", BOX, "--refine-windows", "4"), 2, "goes with --refine"),
        (("--box", BOX, "--project", "colon"), 2, "--project goes with --commit"),
        (("--box", BOX, "--downsample", "0.1"), 1, "larger downsample"),
        (("--box", "9000,9000,9001,9001"), 1, "900 x 700"),
        (("--point", "5,5,-"), 1, "only negative points"),
        (("--box", BOX, "--downsample", "0"), 1, "downsample"),
        (("--box", BOX, "--model", "sam-9000"), 1, "sam-9000"),
    ],
)
@pytest.mark.parametrize("remote", [False, True])
def test_mistakes_are_explained(slide, target, arguments, status, text, remote):
    done = run(slide, *arguments, *(("--server", target) if remote else ()))
    assert done.exit_code == status, done.output
    assert text in done.output
    assert "Traceback" not in done.output


def test_what_is_written_down_repeats_the_prompt_exactly():
    prompt = box(123456.75, 150000.5, 1234567.0, 1234568.125)
    assert describe(prompt) == "--box 123456.75,150000.5,1234567,1234568.125"


def test_an_empty_outline_is_said_and_the_others_are_written(slide, target, tmp_path, monkeypatch):
    real = Client.segment_batch

    def with_one_empty(self, request):
        for answer in real(self, request):
            if answer.id == "1":
                answer.outline.ClearField("geometry")
            yield answer

    monkeypatch.setattr(Client, "segment_batch", with_one_empty)
    path = tmp_path / "out.geojson"
    done = run(slide, "--box", BOX, "--box", "10,10,60,60", "--geojson", path, "--server", target)
    assert done.exit_code == 0, done.output
    assert "nothing found" in done.stdout
    assert len(json.loads(path.read_text())["features"]) == 1


def test_a_relative_path_is_the_file_here_and_not_one_of_its_name_on_the_server(slide, target, tmp_path, monkeypatch):
    write_picture(tmp_path / "discs.png", 5)
    monkeypatch.chdir(tmp_path)
    assert "slide roots" in run("discs.png", "--box", BOX, "--server", target).output


def test_a_slide_that_is_not_there(tmp_path, target):
    assert "no such file" in run(tmp_path / "nothing.svs", "--box", BOX).output
    assert "slide roots" in run(tmp_path / "nothing.svs", "--box", BOX, "--server", target).output


def test_a_server_that_is_not_there(slide):
    done = run(slide, "--box", BOX, "--server", "127.0.0.1:1")
    assert done.exit_code == 1
    assert "is 'wsisam serve' running there?" in done.output


def test_options_of_the_server_are_not_the_clients(slide, target):
    done = run(slide, "--box", BOX, "--device", "cpu", "--server", target)
    assert done.exit_code == 2
    assert "--device" in done.output


def test_discs_are_where_the_helpers_say():
    image = picture()
    for x, y, _ in DISCS.values():
        assert image[y, x].mean() < 130


@pytest.mark.parametrize("command", ["segment", "everything"])
def test_nothing_found_is_no_earlier_result(slide, target, tmp_path, command):
    geojson, overlay = tmp_path / "out.geojson", tmp_path / "out.png"
    geojson.write_text("of yesterday")
    overlay.write_text("of yesterday")
    # On background, and of everything there no object is so large.
    asked = ("--box", "820,620,840,640", "--min-size", 15, "--max-size", 30, "--min-score", 1)
    if command == "segment":
        asked = ("--point", "830,20", "--min-area", 1e12)
    words = (command, slide, *asked, "--geojson", geojson, "--overlay", overlay, "--server", target)
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    assert json.loads(geojson.read_text())["features"] == []
    with Image.open(overlay) as drawn:
        assert max(drawn.size) == 1400


def test_a_failure_leaves_the_earlier_result(slide, target, tmp_path):
    geojson = tmp_path / "out.geojson"
    geojson.write_text("of yesterday")
    done = run(slide, "--point", "5000,5000", "--geojson", geojson, "--server", target)
    assert done.exit_code == 1
    assert geojson.read_text() == "of yesterday"


@pytest.mark.parametrize("remote", [False, True])
def test_all_that_a_point_may_mean_is_said_written_and_drawn(slide, target, tmp_path, remote):
    one, several = tmp_path / "one.png", tmp_path / "several.png"
    geojson = tmp_path / "out.geojson"
    server = ("--server", target) if remote else ()
    assert run(slide, "--point", "600,250", "--overlay", one, *server).exit_code == 0
    done = run(slide, "--point", "600,250", "--candidates", 4, "--geojson", geojson, "--overlay", several, *server)
    assert done.exit_code == 0, done.output
    others = re.findall(r"^  candidate (\d): \d+ part\(s\), area \d+ px, score", done.stdout, re.MULTILINE)
    assert others
    assert len(set(others)) == len(others)
    own, *rest = json.loads(geojson.read_text())["features"]
    assert own["properties"]["metadata"]["wsisam.candidate"] not in others
    assert [each["properties"]["metadata"]["wsisam.candidate"] for each in rest] == others
    areas = [shapely.geometry.shape(each["geometry"]).area for each in rest]
    assert areas == sorted(areas)
    with Image.open(one) as few, Image.open(several) as many:
        assert few.tobytes() != many.tobytes()


def shape_file(path, *shapes):
    features = [{"type": "Feature", "geometry": shapely.geometry.mapping(shape), "properties": {}} for shape in shapes]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_rough_outlines_of_a_file_are_prompts_here_and_there(slide, target, tmp_path):
    rough = [shapely.Point(x + 5, y).buffer(radius, quad_segs=3) for x, y, radius in (DISCS["a"], DISCS["b"])]
    file = shape_file(tmp_path / "rough.geojson", *rough)
    found = []
    for number, server in enumerate(((), ("--server", target))):
        geojson, overlay = tmp_path / f"{number}.geojson", tmp_path / f"{number}.png"
        done = run(slide, "--shape", file, "--geojson", geojson, "--overlay", overlay, *server)
        assert done.exit_code == 0, done.output
        features = json.loads(geojson.read_text())["features"]
        assert [each["properties"]["metadata"]["wsisam.prompt"] for each in features] == [f"--shape {file}"] * 2
        found.append([shapely.geometry.shape(each["geometry"]) for each in features])
    assert found[0] == found[1]
    for name, shape, drawn in zip("ab", found[0], rough, strict=True):
        assert iou(shape, name) > iou(drawn, name)


@pytest.mark.parametrize(
    ("shapes", "more", "status", "text"),
    [
        ([], (), 1, "holds no area"),
        ([shapely.Point(3, 3)], (), 1, "holds no area"),
        ([shapely.box(5000, 5000, 5100, 5100)], (), 1, "outside the slide"),
        ([shapely.Point(200, 200).buffer(50, quad_segs=3000)], (), 1, "more than 10000 vertices"),
        ([shapely.box(10, 10, 50, 50)] * 2, ("--point", "20,20"), 2, "use one command for each object"),
        ([shapely.box(10, 10, 50, 50)], ("--box", BOX), 2, "use one command for each object"),
    ],
)
def test_a_shape_of_no_use_is_explained(slide, target, tmp_path, shapes, more, status, text):
    done = run(slide, "--shape", shape_file(tmp_path / "rough.geojson", *shapes), *more, "--server", target)
    assert done.exit_code == status, done.output
    assert text in done.output


def test_a_vertex_that_is_no_number_is_explained(slide, tmp_path):
    file = tmp_path / "rough.geojson"
    file.write_text('{"type":"Polygon","coordinates":[[[0,0],[NaN,9],[9,9],[0,0]]]}')
    done = run(slide, "--shape", file)
    assert done.exit_code == 1
    assert str(file) in done.output
