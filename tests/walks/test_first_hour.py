"""A research engineer's first hour, as docs/tutorials/own-model.md has it: script prompts, train on the outlines, serve the result.

The outlines are of a model that costs nothing; what is trained and served is the default one, for two steps.
"""

import json
import re
import shlex

import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw

from support.dark_parts import DarkParts
from support.server import start
from wsisam_server.cli import main, model
from wsisam_server.client import Client
from wsisam_server.core.settings import ModelChoice

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]

TINY = "--steps 2 --batch 1 --windows 2 --validation-objects 2 --low-share 0 --box-only --train tokens --device cpu --threads 1"


def ellipses(path, seed):
    """A pale slide with ten dark ellipses; returns a box about each."""
    image, boxes = Image.new("RGB", (1600, 800), (235, 205, 220)), []
    for number in range(10):
        x, y = 60 + 300 * (number % 5), 60 + 360 * (number // 5)
        width, height = 150 + 9 * number + seed, 220 - 7 * number
        ImageDraw.Draw(image).ellipse((x, y, x + width, y + height), fill=(120, 60, 130))
        boxes.append((x - 6, y - 6, x + width + 6, y + height + 6))
    image.save(path)
    return boxes


def tutorial(repository):
    return (repository / "docs" / "tutorials" / "own-model.md").read_text(encoding="utf-8")


def script(repository):
    """The tutorial's script over a folder."""
    (code,) = re.findall(r"<!-- script: folder -->\n\n((?: {4}.*\n|\n)+)", tutorial(repository))
    return re.sub(r"^ {4}", "", code, flags=re.MULTILINE)


def commands(repository):
    """The tutorial's commands by their first words."""
    text = tutorial(repository)
    lines = [line.strip() for line in re.findall(r"^ {4}(wsisam .*)$", text, re.MULTILINE)]

    def one(beginning):
        return next(line for line in lines if line.startswith(beginning))

    return one


def run(words):
    done = CliRunner().invoke(main, shlex.split(words)[1:])
    assert done.exit_code == 0, f"{words}\n{done.output}\n{done.exception!r}"
    return done.output


def test_from_twenty_scripted_prompts_to_a_served_model(repository, tmp_path, monkeypatch):
    command = commands(repository)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WSISAM_STORE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    slides = tmp_path / "slides"
    slides.mkdir()
    boxes = {slides / f"case-{seed}.png": ellipses(slides / f"case-{seed}.png", seed) for seed in (1, 2)}

    # Twenty prompts, their outlines kept by the server and written for QuPath.
    running, stop = start(DarkParts(), slides, store=str(tmp_path / "annotations.sqlite"))
    for path, drawn in boxes.items():
        lines = [",".join(map(str, box)) for box in drawn]
        path.with_suffix(".boxes").write_text("\n".join(lines) + "\n")
    here = {"127.0.0.1:8765": running.target, "/data/slides": slides.as_posix(), '".svs"': '".png"'}
    code = script(repository)
    for of_the_page, of_the_test in here.items():
        assert of_the_page in code
        code = code.replace(of_the_page, of_the_test)
    try:
        exec(code, {})
    finally:
        stop()
    features = json.loads((tmp_path / "outlines.geojson").read_text())["features"]
    assert len(features) == 20
    assert {one["properties"]["classification"] for one in features} == {"Gland"}

    # Train on your own annotations, and take the result as a model of its own.
    said = run(f"{command('wsisam dataset annotations.sqlite')} --val 0.5")
    assert said.count(" 10 ") == 2  # ten glands to train on, and those of the other slide to validate
    run(command("wsisam evaluate glands/manifest.csv --sheet"))
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    run(f"{command('wsisam train glands')} {TINY}")
    few = "--prompts box --max-objects 2 --threads 1"
    assert "sam" in run(f"{command('wsisam evaluate glands/manifest.csv --split val')} {few}")
    run(command("wsisam weights add our-glands"))
    assert "our-glands" in run(command("wsisam weights list"))

    run(command("wsisam replay"))
    assert [*(tmp_path / "compared").iterdir()]

    # Served under its name, it answers.
    choice = ModelChoice(name="our-glands")
    running, stop = start(
        lambda: model.load_model(**model.loading(choice, tmp_path / "data" / "wsisam" / "weights")), slides
    )
    try:
        with Client(running.target, timeout=120) as client:
            path, drawn = next(iter(boxes.items()))
            outline = client.open_slide(str(path)).segment(drawn[0])
    finally:
        stop()
    assert outline.message.model == "our-glands"
    assert outline.geometry.area > 1000
