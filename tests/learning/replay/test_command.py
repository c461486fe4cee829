"""`wsisam replay` with real models, in this process and on a real server: they draw the same."""

import json
import uuid
from dataclasses import replace

import pytest
from click.testing import CliRunner

from annotations.store.examples import same
from support.models import two_models
from support.one_window import one_window
from support.server import around, clicks, iou, start, write_picture
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.annotations.store import Draft, Target, open_store
from wsisam_server.cli import main
from wsisam_server.client import Client, geometry
from wsisam_server.core.settings import Limits
from wsisam_server.inference.weights import ServedModels


@pytest.fixture(autouse=True)
def _no_store_of_the_environment(monkeypatch):
    monkeypatch.delenv("WSISAM_STORE", raising=False)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return two_models(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def server(shelf, tmp_path_factory):
    """With a box and a box refined by a click, kept as annotations."""
    root = tmp_path_factory.mktemp("slides")
    write_picture(root / "discs.png")
    place = tmp_path_factory.mktemp("store") / "annotations.sqlite"
    running, stop = start(one_window, root, ServedModels(shelf), store=str(place))
    running.place = place
    with Client(running.target) as client:
        uri = (root / "discs.png").as_uri()
        slide = client.open_slide(uri).slide_id
        refined = around("b")
        refined.points.extend(clicks((600, 250, True)).points)
        for name, prompt in (("a", around("a")), ("b", refined)):
            commit = pb.Commit(
                annotation_id=str(uuid.uuid4()), author="anna", name=name, path_class=pb.PathClass(name="Disc"), uri=uri
            )
            client.segment(pb.SegmentRequest(slide_id=slide, prompt=prompt, commit=commit))
    yield running
    stop()


@pytest.fixture
def refining(shelf, tmp_path):
    """A server that reads few windows along a border, with one outline whose border was refined."""
    write_picture(tmp_path / "discs.png")
    place = tmp_path / "annotations.sqlite"
    limits = Limits(prefetched_fields=0, refinement_windows=30)
    running, stop = start(one_window, tmp_path, ServedModels(shelf), store=str(place), limits=limits)
    running.place = place
    with Client(running.target) as client:
        uri = (tmp_path / "discs.png").as_uri()
        commit = pb.Commit(annotation_id=str(uuid.uuid4()), author="anna", uri=uri)
        outline = client.segment(
            pb.SegmentRequest(
                slide_id=client.open_slide(uri).slide_id,
                prompt=pb.Prompt(points=clicks((350, 520, True)).points, box=around("c").box),
                field=pb.FieldChoice(downsample=4),
                refine=pb.Refinement(downsample=1, max_windows=30),
                commit=commit,
            )
        )
    assert not outline.truncated
    running.kept = uuid.UUID(commit.annotation_id)
    yield running
    stop()


def run(*arguments, status=0):
    done = CliRunner().invoke(main, ["replay", *map(str, arguments)])
    assert done.exit_code == status, done.output
    return done.output


def test_here_and_there_the_same_is_drawn_and_saved_only_if_asked(server, shelf, tmp_path):
    here, there = tmp_path / "here.json", tmp_path / "there.json"
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / f"009_dice0.100_{uuid.uuid4()}.png").write_bytes(b"of an earlier run")
    shown = run(
        "--store",
        server.place,
        "--model",
        "plain",
        "--weights-dir",
        shelf.path,
        "--threads",
        1,
        "--json",
        here,
        "--pictures",
        tmp_path / "pictures",
        "--class",
        "Disc",
    )
    assert "nothing was changed" in shown
    run("--server", server.target, "--model", "plain", "--json", there)
    said = json.loads(here.read_text())
    assert said == json.loads(there.read_text())
    assert (said["n"], said["model"], said["left_alone"]) == (2, "plain", [])
    assert all(0.5 < one["dice"] <= 1 for one in said["annotations"])
    pictures = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert [name[:4] for name in pictures] == ["001_", "002_"]
    with open_store(str(server.place)) as store:
        assert store.head() == 2
        assert "2 new revisions by replay:plain" in run("--server", server.target, "--model", "plain", "--save")
        assert store.head() == 4
        for one in said["annotations"]:
            now = store.get(uuid.UUID(one["id"]))
            assert (now.author, now.content.provenance.model) == ("replay:plain", "plain")
            assert now.content.shape.area == one["new_area"]
            assert iou(now.content.shape, now.content.name) > 0.5


def test_a_refined_border_is_refined_again_here_and_there(refining, shelf, tmp_path):
    here, there = tmp_path / "here.json", tmp_path / "there.json"
    of_model = ("--store", refining.place, "--model", "plain", "--weights-dir", shelf.path, "--threads", 1)
    run(*of_model, "--json", here)
    # The server refuses what servers usually allow, and is then asked for what was used.
    run("--server", refining.target, "--model", "plain", "--json", there, "--save")
    said, told = json.loads(here.read_text()), json.loads(there.read_text())
    told["annotations"][0]["saved_revision"] = None
    assert said == told
    assert (said["n"], said["annotations"][0]["truncated"]) == (1, False)
    with open_store(str(refining.place)) as store:
        old, new = store.get(refining.kept, 1).content, store.get(refining.kept).content
        assert [level.downsample for level in old.provenance.levels] == [4, 2, 1]
        assert [level.downsample for level in new.provenance.levels] == [4, 2, 1]
        assert new.provenance.levels[-1].windows > 1
        assert new.provenance.model == "plain"
        assert iou(new.shape, "c") > 0.8
        # And here, whose revision is of the same outline.
        store.restore([Target(refining.kept, 2, 1)], author="anna", request_id="back")
        run(*of_model, "--save")
        assert same(store.get(refining.kept).content, new)


def test_a_border_that_gets_too_few_windows_is_named(refining):
    with open_store(str(refining.place)) as store:
        old = store.get(refining.kept).content
        coarse, *_, fine = old.provenance.levels
        made = replace(old.provenance, levels=(coarse, replace(fine, windows=2)))
        store.save([Draft(refining.kept, replace(old, provenance=made), 1)], author="anna", request_id="fewer")
    shown = run("--server", refining.target, "--model", "plain")
    assert "1 of them: border refined less finely than before" in shown


def test_what_the_server_does_not_have_is_said(server):
    assert "has no model named 'gone'" in run("--server", server.target, "--model", "gone", status=1)
    assert "--threads is the server's business" in run("--server", server.target, "--threads", 2, status=2)
    assert "there are no such annotations" in run("--server", server.target, "--class", "Gland", status=1)


def test_the_candidates_that_were_chosen_are_chosen_again_here_and_there(shelf, tmp_path):
    write_picture(tmp_path / "discs.png")
    place = tmp_path / "annotations.sqlite"
    running, stop = start(
        one_window, tmp_path, ServedModels(shelf), store=str(place), limits=Limits(prefetched_fields=0)
    )
    try:
        with Client(running.target) as client:
            uri = (tmp_path / "discs.png").as_uri()
            slide = client.open_slide(uri).slide_id
            first = clicks((600, 250, True))
            both = clicks((600, 250, True), (650, 250, True))
            both.points[1].candidate = 3
            both.candidate = 2
            commit = pb.Commit(annotation_id=str(uuid.uuid4()), author="anna", uri=uri)
            made = client.segment(pb.SegmentRequest(slide_id=slide, prompt=both, commit=commit))
            field = pb.FieldChoice(high=made.field.high)
            _, meant = client.refine(
                pb.Start(slide_id=slide, model="plain"),
                [first, both],
                field=field,
                options={0: pb.OutlineOptions(max_candidates=4)},
            )
        run("--server", running.target, "--model", "plain", "--save")
        of_model = ("--store", place, "--model", "plain", "--weights-dir", shelf.path, "--threads", 1)
        annotation = uuid.UUID(commit.annotation_id)
        with open_store(str(place)) as store:
            then, there = store.get(annotation, 1).content, store.get(annotation).content
            assert (then.provenance.prompt.candidate, then.provenance.prompt.points[1].candidate) == (2, 3)
            assert there.provenance.prompt == then.provenance.prompt
            assert there.shape.equals(geometry(meant.geometry))
            store.restore([Target(annotation, 2, 1)], author="anna", request_id="back")
            run(*of_model, "--save")
            here = store.get(annotation).content
            assert here.shape.equals(there.shape)
            assert here.provenance == replace(there.provenance, score=here.provenance.score)
    finally:
        stop()
