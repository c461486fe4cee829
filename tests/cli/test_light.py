"""The base install: help imports nothing heavy, and what asks a server needs no model's packages."""

import json
import socket

import click
import pytest

from support.light import BLOCKED, run
from support.server import around, write_picture
from support.server_process import Starter
from wsisam_server.cli import COMMANDS, main

MOST_MODULES = 260
"""That `wsisam --help` imports; 178 with Python 3.11, of which Python itself and click are all but two."""

_BOX = around("a").box
BOX = f"{_BOX.x0:g},{_BOX.y0:g},{_BOX.x1:g},{_BOX.y1:g}"

DRAWN = {
    "type": "Feature",
    "id": "6dbb8e5a-57ad-4d70-a9ac-c5a3d1d95b0e",
    "geometry": {"type": "Polygon", "coordinates": [[[10, 10], [60, 10], [60, 50], [10, 10]]]},
    "properties": {"objectType": "annotation", "classification": {"name": "Tumor", "color": [200, 0, 0]}},
}


def all_helps():
    """Every command's and every subcommand's."""
    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)
        yield [name, "--help"]
        yield from ([name, sub, "--help"] for sub in getattr(command, "commands", ()))


def test_no_help_imports_what_takes_long():
    """One process shows all of them, here where everything is installed: what one imports, the last one sees."""
    helps = [["--help"], *all_helps()]
    done = run(*helps, blocked=False)
    assert len(done) > len(COMMANDS) + 10
    for words, (status, text, modules) in zip(helps, done, strict=True):
        assert status == 0, (words, text)
        assert "Usage: " in text
        heavy = {"torch", "torchvision", "timm", "segment_anything", "scipy", "sqlalchemy", "alembic", "grpc", "ray"}
        assert not heavy & set(modules), words
    assert all(command in done[0][1] for command in COMMANDS)
    assert len(done[0][2]) <= MOST_MODULES


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    write_picture(folder / "discs.png")
    (folder / "drawn.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [DRAWN]}))
    return folder


def test_what_asks_a_server_does_without_the_model(slides, tmp_path, monkeypatch):
    slide, store, tokens = slides / "discs.png", tmp_path / "own.sqlite", tmp_path / "tokens.json"
    monkeypatch.setenv("WSISAM_STORE", str(store))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Starter(tmp_path / "server.log") as starter:
        server = starter.start(
            "--slides", slides, "--port", 0, "--metrics-port", port, "--store", tmp_path / "its.sqlite"
        )
        there, picture_too = ("--server", server.target), ("--overlay", tmp_path / "a.png")
        commands = {
            "segment": ("segment", slide, "--box", BOX, *there, "--geojson", tmp_path / "a.geojson", *picture_too),
            "everything": ("everything", slide, "--box", BOX, "--min-size", 40, "--max-size", 300, *there),
            "import there": ("import", slides / "drawn.geojson", "--slide", slide, *there),
            "export there": ("export", tmp_path / "there.geojson", "--slide", slide, *there),
            "replay": ("replay", *there),
            "import": ("import", slides / "drawn.geojson", "--slide", slide, "--store", store),
            "export": ("export", tmp_path / "own.geojson", "--slide", slide, "--store", store),
            "coco": ("export", tmp_path / "own.json", "--format", "coco", "--store", store),
            "check": ("db", "check", "--store", store),
            "dataset": ("dataset", store, tmp_path / "set", "--window", 64),
            "token": ("token", "create", "anna", "--project", "colon", "--tokens", tokens),
            "tokens": ("token", "list", "--tokens", tokens),
            "top": ("top", "--once", "--metrics", f"127.0.0.1:{port}"),
            "qupath": ("qupath", "uninstall", "--qupath-user-dir", tmp_path),
            "doctor": ("doctor", "--port", server.target.rpartition(":")[2]),
            "weights": ("weights", "list", "--weights-dir", tmp_path / "weights"),
            "config": ("serve", "--print-config"),
        }
        done = dict(zip(commands, run(*commands.values()), strict=True))
        for name, (status, text, modules) in done.items():
            assert status == 0, (name, text)
            assert not set(modules) & set(BLOCKED), name
    assert "1 part(s), 0 hole(s)" in done["segment"][1]
    (outline,) = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert outline["geometry"]["type"] == "Polygon"
    assert (tmp_path / "a.png").stat().st_size > 1000
    (exported,) = json.loads((tmp_path / "there.geojson").read_text())["features"]
    assert exported["id"] == DRAWN["id"]
    assert (tmp_path / "set" / "manifest.csv").is_file()
    assert "anna" in done["tokens"][1]
    assert 'pip install ".[server]"' in done["doctor"][1]
    assert "a wsisam server is SERVING here" in done["doctor"][1]


def test_what_needs_an_extra_says_which_in_one_line(slides, tmp_path, monkeypatch):
    monkeypatch.delenv("WSISAM_STORE")
    slide = slides / "discs.png"
    server, train, postgres = ".[server]", ".[train]", ".[postgres]"
    cases = [
        (server, "serve", "--slides", slides, "--store", "none"),
        (server, "segment", slide, "--box", BOX),
        (server, "everything", slide, "--box", BOX, "--min-size", 4, "--max-size", 9),
        (server, "evaluate", tmp_path / "manifest.csv"),
        (train, "train", tmp_path / "manifest.csv", "--out", tmp_path / "run"),
        (server, "replay", "--store", tmp_path / "own.sqlite"),
        (server, "precompute", slide, "--embedding-store", tmp_path / "embeddings"),
        (server, "weights", "add", "sam-vit-b", "--weights-dir", tmp_path / "weights"),
        (server, "weights", "verify", "--weights-dir", tmp_path / "weights"),
        (server, "demo", "--out", tmp_path / "demo"),
        (postgres, "export", tmp_path / "out.geojson", "--store", "postgresql://anna@127.0.0.1/none"),
        (postgres, "db", "check", "--store", "postgresql://anna@127.0.0.1/none"),
    ]
    for (extra, *words), (status, text, _) in zip(cases, run(*(words for _, *words in cases)), strict=True):
        assert status == 1, (words, text)
        assert f'pip install "{extra}"' in text
        assert text.startswith("Error: "), words
        assert len(text.splitlines()) == 1, words
    assert sorted(path.name for path in tmp_path.iterdir()) == []
