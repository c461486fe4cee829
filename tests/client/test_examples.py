"""The examples in Python that README.md, docs/python.md and examples/ show, run as they are written."""

import importlib.util
import itertools
import json
import re
from pathlib import Path

import click
import pytest
import shapely
from PIL import Image, ImageDraw

from support.dark_parts import DarkParts
from support.server import start
from wsisam_server.annotations.store import Target
from wsisam_server.cli import main
from wsisam_server.client import Client, Outline, areas, prompt

OBJECTS = [(1190, 1970, 1355, 2180), (1490, 1970, 1655, 2180)]
"""Dark ellipses inside the boxes that the pages ask for."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A server with a store, of a slide that is where the pages say."""
    folder = tmp_path_factory.mktemp("slides")
    image = Image.new("RGB", (2220, 2967), (235, 205, 220))
    for one in OBJECTS:
        ImageDraw.Draw(image).ellipse(one, fill=(120, 60, 130))
    image.save(folder / "case-7.png")
    running, stop = start(DarkParts(), folder, store=str(folder / "store.sqlite"))
    yield running.target, folder / "case-7.png"
    stop()


def examples(page):
    """The indented blocks of a page that are Python, in their order."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.MULTILINE):
        code = re.sub(r"^ {4}", "", block, flags=re.MULTILINE).strip()
        if code and not code.startswith(("pip ", "wsisam ")):
            yield code


def test_the_page_for_python(repository, lab, tmp_path, monkeypatch):
    target, slide = lab
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in examples(repository / "docs" / "python.md"):
        if "gpu.lab" in code:
            continue  # the lab's own server; tests/service/test_tls.py has one
        exec(code.replace("127.0.0.1:8765", target).replace("/data/slides/case-7.svs", str(slide)), names)
    assert len(names["answers"]) == 2
    assert set(names["found"]) == {0, 1}
    assert names["kept"].message.saved.revision == 1
    assert {one.content.path_class.name for one in names["glands"]} == {"Gland"}
    assert len(names["glands"]) == 3
    assert (tmp_path / "outlines.geojson").stat().st_size > 1000


def test_the_readmes_first_example(repository, lab):
    target, slide = lab
    text = (repository / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"## From Python\n\n((?: {4}.*\n|\n)+)", text)
    code = re.sub(r"^ {4}", "", code, flags=re.MULTILINE)
    names = {}
    exec(code.replace("127.0.0.1:8765", target).replace("/data/slides/case-7.svs", str(slide)), names)
    assert names["polygons"].area > 10_000


def test_what_is_shown_of_things_is_short(lab):
    target, path = lab
    with Client(target) as client, client.open_slide(str(path)) as slide:
        outline = slide.segment(points=[(1270, 2080)])
        ((_, batched),) = slide.segment_batch([prompt((1180, 1960, 1365, 2190))])
        for one in (client, slide, outline, batched):
            assert len(repr(one)) < 200
            assert "\n" not in repr(one)
    assert isinstance(outline, Outline)
    assert outline.__geo_interface__["type"] == "MultiPolygon"


@pytest.mark.parametrize("box", [(1, 2, 3), "1,2,3,4,5", ()])
def test_a_box_that_is_none(box):
    with pytest.raises(ValueError, match=r"no box|could not convert"):
        prompt(box)


def test_prompts_of_tuples_and_of_shapely_are_the_same():
    assert prompt(shapely.box(1, 2, 3, 4)) == prompt((1, 2, 3, 4)) == prompt([1.0, 2.0, 3.0, 4.0])
    assert prompt(points=[shapely.Point(5, 6)]) == prompt(points=[(5, 6)]) == prompt(points=[(5, 6, True)])
    assert prompt(points=[(5, 6, False)]) != prompt(points=[(5, 6)])
    shape = shapely.box(0, 0, 9, 9)
    assert prompt(shape=shape).shape == areas(shape)
    with pytest.raises(ValueError, match="no point"):
        prompt(points=[(1,)])


def example(repository, name):
    """An example's file as a module."""
    specification = importlib.util.spec_from_file_location(name, repository / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_notebook(repository, lab, tmp_path, monkeypatch):
    target, slide = lab
    monkeypatch.chdir(tmp_path)
    names = {}
    cells = json.loads((repository / "examples" / "first_outline.ipynb").read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells), "save it without outputs"
    for cell in cells:
        if cell["cell_type"] == "code":
            code = "".join(cell["source"]).replace("127.0.0.1:8765", target)
            exec(code.replace("/data/slides/case-7.svs", str(slide)), names)
    assert names["outline"].geometry.area > 10_000
    assert 1 <= len(names["first"].message.candidates) <= 4
    assert min(names["pixels"].size) > 100
    (feature,) = json.loads((tmp_path / "first.geojson").read_text())["features"]
    assert feature["properties"]["classification"] == "Gland"


def test_a_folder_in_a_batch(repository, lab, capsys):
    target, slide = lab
    boxes = [(1180, 1960, 1365, 2190), (1480, 1960, 1665, 2190), (9000, 9000, 9100, 9100)]
    gland = {"classification": {"name": "Gland"}}
    drawn = [{"geometry": shapely.box(*box).__geo_interface__, "properties": gland} for box in boxes]
    slide.with_suffix(".geojson").write_text(json.dumps({"features": drawn}))
    batch = example(repository, "batch_folder")
    assert batch.main(target, slide.parent) == 1
    out = slide.with_suffix(".outlines.geojson")
    features = json.loads(out.read_text())["features"]
    assert [one["properties"]["classification"] for one in features] == ["Gland", "Gland"]
    centers = [round(shapely.geometry.shape(one["geometry"]).centroid.x) for one in features]
    assert [abs(x - center) < 20 for x, center in zip((1272, 1572), centers, strict=True)] == [True, True]
    said = capsys.readouterr()
    assert "object 3: " in said.err
    assert "2 of 3 outlines" in said.out
    before = out.read_bytes()
    assert batch.main(target, slide.parent) == 0, "what was written is not asked again"
    assert out.read_bytes() == before


def test_watching_a_store(repository, lab):
    target, path = lab
    watch = example(repository, "watch_store")
    with Client(target) as client, client.open_slide(str(path)) as slide:
        since = client.store.head()
        saved = slide.save(shapely.box(10, 10, 60, 40), author="anna", path_class="Stroma")
        client.store.delete([Target(saved.id, saved.revision)], author="ben", request_id="watched")
        found = list(itertools.islice(watch.changes(client, since), 2))
    assert [(one["change"], one["author"]) for one in found] == [("saved", "anna"), ("deleted", "ben")]
    assert {one["id"] for one in found} == {str(saved.id)}


def test_the_commands_of_training_exist(repository, tmp_path):
    """That they do what they say, walks/test_first_hour.py tries."""
    train = example(repository, "train_on_project")
    steps = train.steps("127.0.0.1:8765", "Gland", "our-glands", tmp_path)
    assert [words[0] for words, _ in steps] == ["dataset", "evaluate", "train", "calibrate", "evaluate", "weights"]
    for step, _ in steps:
        # They are there when the commands run.
        for word in step[1:]:
            if Path(word).suffix in {".csv", ".safetensors"}:
                Path(word).parent.mkdir(parents=True, exist_ok=True)
                Path(word).touch()
        command, rest, context = main, list(step), click.Context(main)
        while isinstance(command, click.Group):
            command = command.get_command(context, rest.pop(0))
        assert command.make_context(command.name, rest).params


def test_training_goes_on_with_what_is_not_done(repository, tmp_path, monkeypatch):
    train, ran = example(repository, "train_on_project"), []
    monkeypatch.setattr(train.subprocess, "run", lambda words, **_: ran.append(words[3]))
    for step, (_, done) in enumerate(train.steps("a", "b", "c", tmp_path)):
        done.parent.mkdir(parents=True, exist_ok=True)
        if step < 3:
            done.touch()
    train.main("a", "b", "c", tmp_path)
    assert ran == ["calibrate", "evaluate", "weights"]
    train.main("a", "b", "c", tmp_path)
    assert len(ran) == 3
