"""The examples in Python that README.md and docs/python.md show, run as they are written."""

import re

import pytest
from PIL import Image, ImageDraw

from support.dark_parts import DarkParts
from support.server import start
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
    import shapely

    assert prompt(shapely.box(1, 2, 3, 4)) == prompt((1, 2, 3, 4)) == prompt([1.0, 2.0, 3.0, 4.0])
    assert prompt(points=[shapely.Point(5, 6)]) == prompt(points=[(5, 6)]) == prompt(points=[(5, 6, True)])
    assert prompt(points=[(5, 6, False)]) != prompt(points=[(5, 6)])
    shape = shapely.box(0, 0, 9, 9)
    assert prompt(shape=shape).shape == areas(shape)
    with pytest.raises(ValueError, match="no point"):
        prompt(points=[(1,)])
