"""Results for scripts: standard output, JSON, outlines that are stored, and prompts that can be asked again."""

import io
import json
from types import SimpleNamespace

import pytest
import shapely
from click.testing import CliRunner

from support.server import around, iou
from wsisam_server.annotations.store import AnnotationFilter, open_store
from wsisam_server.cli import interruption, main
from wsisam_server.segmentation.segmenter import Segmenter

_BOX = around("a").box
BOX = f"{_BOX.x0:g},{_BOX.y0:g},{_BOX.x1:g},{_BOX.y1:g}"
OTHER = "510,160,690,340"


def run(*arguments, status=0):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.output
    return done


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("kind", ["--geojson", "--json"])
def test_a_result_on_standard_output_is_alone_there(slide, target, kind, remote):
    server = ("--server", target) if remote else ()
    done = run("segment", slide, "--box", BOX, "--box", OTHER, kind, "-", *server)
    found = json.loads(done.stdout)
    shapes = [
        shapely.geometry.shape(one["geometry"]) for one in found["features" if kind == "--geojson" else "answers"]
    ]
    assert [iou(shape, name) > 0.9 for shape, name in zip(shapes, "ab", strict=True)] == [True, True]
    assert done.stderr.count("score") == 2


def test_proposals_and_an_export_on_standard_output(slide, target, tmp_path):
    area = ("--box", "100,100,800,600", "--min-size", "60", "--max-size", "250")
    done = run("everything", slide, *area, "--geojson", "-")
    (found,) = [json.loads(done.stdout)]
    assert "objects from" in done.stderr
    file, store = tmp_path / "found.geojson", tmp_path / "s.sqlite"
    file.write_text(done.stdout)
    run("import", file, "--slide", slide, "--store", store)
    done = run("export", "-", "--store", store)
    assert {one["id"] for one in json.loads(done.stdout)["features"]} == {one["id"] for one in found["features"]}
    assert "standard output: 3 annotations" in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--geojson", "-", "--json", "-"), "only one result"),
        (("--overlay", "-"), "for texts only"),
        (("--overlay", "picture.gif"), "must end in one of .png"),
    ],
)
def test_what_cannot_go_to_standard_output_is_told_before_the_work(slide, options, says):
    done = run("segment", slide, "--box", BOX, *options, status=2)
    assert says in done.output


def test_json_has_what_was_refused_too(slide, target, tmp_path):
    out = tmp_path / "out.json"
    run("segment", slide, "--box", BOX, "--box", "9000,9000,9001,9001", "--json", out, status=1)
    found = json.loads(out.read_text())
    assert [one["prompt"] for one in found["answers"]] == [f"--box {BOX}"]
    assert found["answers"][0]["geometry"]["type"] == "MultiPolygon"
    assert found["problems"][0].startswith("--box 9000,9000,9001,9001: ")


def test_outlines_are_stored_as_they_are_made_and_can_be_asked_again(slide, target, tmp_path):
    store, out = tmp_path / "s.sqlite", tmp_path / "out.geojson"
    kept = ("--commit", "--class", "Gland", "--project", "colon", "--author", "anna", "--store", store)
    done = run("segment", slide, "--box", BOX, "--box", "5,5,60,60", "--geojson", out, *kept)
    assert "1 annotations were stored" in done.stderr  # in the second there is nothing
    with open_store(str(store)) as place:
        (one,) = place.listing(AnnotationFilter(), after=0, limit=9).annotations
        (record,) = place.slides({one.content.slide_id})
    assert (one.author, one.content.project, one.content.path_class.name) == ("anna", "colon", "Gland")
    assert one.content.provenance.prompt.box.x0 == _BOX.x0
    assert record.uris == (slide.resolve().as_uri(),)
    (feature,) = json.loads(out.read_text())["features"]
    assert feature["id"] == str(one.id)
    # The file says the same as the store, so that it is no other version of it.
    done = run("import", out, "--slide", slide, "--store", store, "--author", "anna", "--project", "colon", "--update")
    assert "0 new annotations" in done.stdout


def test_a_server_stores_what_it_is_asked_for(slide, costless, tmp_path):
    from support.dark_parts import DarkParts
    from support.server import start

    store = tmp_path / "s.sqlite"
    running, stop = start(DarkParts(), slide.parent, store=str(store))
    try:
        done = run("segment", slide, "--box", BOX, "--commit", "--author", "anna", "--server", running.target)
    finally:
        stop()
    assert "1 annotations were stored in the store of the server" in done.stderr
    with open_store(str(store)) as place:
        assert len(place.listing(AnnotationFilter(), after=0, limit=9).annotations) == 1


def test_a_store_that_cannot_be_used_is_told_before_the_model_runs(slide, tmp_path, monkeypatch):
    monkeypatch.setattr(Segmenter, "segment", None)
    run("segment", slide, "--box", BOX, "--commit", "--store", tmp_path / "no" / "s.sqlite", status=1)


@pytest.mark.parametrize("prompt", [("--box", BOX), ("--point", "200,200", "--point", "20,20,-")])
def test_a_file_of_outlines_keeps_its_prompts_for_replay(slide, target, tmp_path, monkeypatch, prompt):
    from support.dark_parts import DarkParts
    from wsisam_server.cli import replay

    monkeypatch.setattr(replay, "load_model", lambda **_: DarkParts())
    out, store, report = tmp_path / "out.geojson", tmp_path / "s.sqlite", tmp_path / "report.json"
    run("segment", slide, *prompt, "--geojson", out)
    data = json.loads(out.read_text())
    data["features"][0]["properties"]["metadata"]["wsisam.weights"] = "0" * 64  # of another model
    out.write_text(json.dumps(data))
    run("import", out, "--slide", slide, "--store", store)
    run("replay", "--store", store, "--json", report)
    (again,) = json.loads(report.read_text())["annotations"]
    assert again["dice"] == pytest.approx(1)


@pytest.mark.parametrize("remote", [False, True])
def test_ctrl_c_keeps_what_was_answered(slide, target, tmp_path, monkeypatch, remote):
    """In this process; of a server, its answers' stream."""
    from wsisam_server.cli import segment

    real = segment._by_server if remote else segment._here

    def stopped(*arguments):
        answers = real(*arguments)
        yield next(answers)
        raise KeyboardInterrupt

    monkeypatch.setattr(segment, real.__name__, stopped)
    out = tmp_path / "out.geojson"
    server = ("--server", target) if remote else ()
    done = run(
        "segment", slide, "--box", BOX, "--box", OTHER, "--geojson", out, *server, status=interruption.INTERRUPTED
    )
    assert "stopped: 1 of 2 prompts were answered" in done.stderr
    assert len(json.loads(out.read_text())["features"]) == 1
    assert "Aborted" not in done.output


def test_ctrl_c_in_a_search_keeps_the_windows_that_are_done(slide, target, tmp_path, monkeypatch):
    from wsisam_server.cli import everything

    real = everything._here

    def stopped(*arguments):
        answers = real(*arguments)
        yield next(answers)
        yield next(answers)
        raise KeyboardInterrupt

    monkeypatch.setattr(everything, "_here", stopped)
    out = tmp_path / "out.geojson"
    area = ("--box", "100,100,800,600", "--min-size", "60", "--max-size", "250")
    done = run("everything", slide, *area, "--geojson", out, status=interruption.INTERRUPTED)
    assert "windows were searched" in done.stderr
    assert json.loads(out.read_text())["type"] == "FeatureCollection"


@pytest.mark.parametrize(
    ("options", "says"), [((), "1 of 2 images are in sync"), (("--dry-run",), "nothing was changed")]
)
def test_ctrl_c_in_a_sync_says_how_far_it_came(tmp_path, monkeypatch, options, says):
    from wsisam_server.cli import sync

    def stopped(*_, listener, **__):
        listener.begin(2)
        listener.end(SimpleNamespace(image=SimpleNamespace(name="first.svs")))
        raise KeyboardInterrupt

    monkeypatch.setattr(sync, "sync", stopped)
    done = run("sync", tmp_path, "--store", tmp_path / "s.sqlite", *options, status=interruption.INTERRUPTED)
    assert says in done.output


def test_ctrl_c_elsewhere_is_no_traceback(tmp_path, monkeypatch):
    from wsisam_server.annotations.store import upkeep

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(upkeep, "backup", stopped)
    done = run("db", "backup", tmp_path / "x", "--store", tmp_path / "s.sqlite", status=interruption.INTERRUPTED)
    assert done.stderr.strip() == "stopped"


def test_a_search_without_an_output_says_so_first(slide, target):
    area = ("--box", "100,100,800,600", "--min-size", "60", "--max-size", "250")
    assert run("everything", slide, *area).stderr.startswith("nothing will be kept")


def test_outlines_are_said_as_they_come(slide, target, monkeypatch):
    from wsisam_server.cli import segment

    real, said = segment._here, []

    def watched(*arguments):
        for answer in real(*arguments):
            yield answer
            said.append(echoed.copy())

    echoed, echo = [], segment.click.echo
    monkeypatch.setattr(segment.click, "echo", lambda text, **more: (echoed.append(text), echo(text, **more)))
    monkeypatch.setattr(segment, "_here", watched)
    run("segment", slide, "--box", BOX, "--box", OTHER)
    assert [sum("score" in line for line in lines) for lines in said] == [1, 2]


def test_without_a_terminal_a_line_tells_how_far_it_is(monkeypatch):
    from rich.console import Console

    from wsisam_server.cli import progress

    console, clock = Console(file=io.StringIO()), iter([0, 30, 61, 100, 122])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.counted(console, "windows") as tell:
        for done in range(1, 5):
            tell(done, 200)
    assert console.file.getvalue().splitlines() == ["windows: 2 of 200", "windows: 4 of 200"]


def test_the_demos_server_keeps_nothing_where_the_user_keeps_something(tmp_path, monkeypatch):
    from wsisam_server.cli import demo

    started = []

    def popen(words, **more):
        started.append((words, more["env"]))
        raise RuntimeError("not started")

    for name, value in {"STORE": "precious.sqlite", "TOKENS": "t", "EMBEDDING_STORE": "e", "PORT": "9"}.items():
        monkeypatch.setenv(f"WSISAM_{name}", value)
    monkeypatch.setenv("WSISAM_MODEL__THREADS", "1")
    monkeypatch.setattr(demo.subprocess, "Popen", popen)
    with pytest.raises(RuntimeError, match="not started"), demo._server(tmp_path):
        pass
    ((words, environment),) = started
    assert words[words.index("--store") + 1] == "none"
    assert {name for name in environment if name.startswith("WSISAM_")} == {
        "WSISAM_MODEL__THREADS",
        "WSISAM_MODEL__ENCODER",  # of the tests
    }


def test_numbers_go_to_standard_output_alone(tmp_path, monkeypatch):
    """Of what prints a table, too."""
    from wsisam_server.cli import sync

    report = SimpleNamespace(as_json=lambda: {"status": 0}, status=0)
    monkeypatch.setattr(sync, "sync", lambda *_, **__: report)
    monkeypatch.setattr(sync, "show", lambda _, console: console.print("a table"))
    done = run("sync", tmp_path, "--store", tmp_path / "s.sqlite", "--json", "-")
    assert json.loads(done.stdout) == {"status": 0}
    assert "a table" in done.stderr
