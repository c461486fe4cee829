"""`wsisam weights` and the options of other commands that name models."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from support.http import serving
from support.models import add_plain, add_trained, mib, two_models
from support.server import around, write_picture
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.cli import main
from wsisam_server.cli.numbers import shown
from wsisam_server.cli.options import Checked
from wsisam_server.client import Client, is_installed
from wsisam_server.core.settings import Bytes
from wsisam_server.inference.weights import WeightsFolder

SIZE = Checked(Bytes, "SIZE")


@pytest.fixture
def run(folder):
    def run(*arguments):
        done = CliRunner().invoke(main, ["weights", *map(str, arguments), "--weights-dir", str(folder.path)])
        assert "Traceback" not in done.output
        return done

    return run


@pytest.mark.parametrize("command", ["list", "add", "remove", "verify"])
def test_every_command_has_help_with_an_example(command):
    done = CliRunner().invoke(main, ["weights", command, "--help"])
    assert done.exit_code == 0
    assert f"Example: wsisam weights {command}" in done.output


def test_from_nothing_to_a_model_and_back(run, folder, sam):
    sha256 = hashlib.sha256(sam.read_bytes()).hexdigest()
    done = run("add", "plain", "--sam", sam, "--licence", "Apache-2.0", "--source", "our shelf", "--sha256", sha256)
    assert done.exit_code == 0, done.output
    record = folder.record("plain")
    assert f"weights {record.weights_hash[:12]}" in done.output
    assert "wsisam serve --model plain" in done.output
    listed = run("list")
    assert listed.exit_code == 0
    for text in (
        "wsisam-lite (built in)",
        "plain",
        "licence Apache-2.0",
        "from our shelf",
        "sam-vit-b",
        str(folder.path),
    ):
        assert text in listed.output
    checked = run("verify")
    assert checked.exit_code == 0
    assert [line.split()[0] for line in checked.output.splitlines()] == ["ok", "ok"]
    assert run("remove", "plain").exit_code == 0
    assert folder.names() == []


def test_the_list_as_json(run, folder):
    add_plain(folder)
    models = json.loads(run("list", "--json").output)
    assert [(model["name"], model["built_in"]) for model in models] == [("wsisam-lite", True), ("plain", False)]
    assert models[1]["weights_hash"] == folder.record("plain").weights_hash


def test_from_an_address(run, folder, sam):
    with serving({"/sam.pth": sam.read_bytes()}) as address:
        done = run("add", "web", "--sam", f"{address}/sam.pth")
    assert done.exit_code == 0, done.output
    assert folder.record("web").files["sam"].source == f"{address}/sam.pth"


def test_settings_are_set(run, folder, additions):
    done = run("add", "set", "--additions", additions, "--link", "--set", "multimask=on", "--set", "batch_size=3")
    assert done.exit_code == 0, done.output
    settings = folder.record("set").settings
    assert (settings.multimask, settings.batch_size) == (True, 3)


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("add", "x"), 1, "--sam FILE is needed"),
        (("add", "x", "--sam", "/no/such/file"), 1, "no such file"),
        (("add", "wsisam-lite", "--sam", "y"), 1, "built in"),
        (("add", "x", "--sam", "y", "--sha256", "z=0"), 2, "PART=HEX"),
        (("add", "x", "--sam", "y", "--high", "z", "--sha256", "0"), 2, "PART=HEX"),
        (("add", "x", "--sam", "y", "--set", "speed=9"), 2, "multimask"),
        (("add", "x", "--sam", "y", "--set", "batch_size=many"), 2, "no number"),
        (("add", "x", "--sam", "y", "--set", "multimask=perhaps"), 2, "perhaps"),
        (("remove", "x"), 1, "no model 'x'"),
        (("remove", "wsisam-lite"), 1, "built in"),
        (("verify", "x"), 1, "no model 'x'"),
    ],
)
def test_mistakes_are_explained(run, arguments, status, text):
    done = run(*arguments)
    assert done.exit_code == status, done.output
    assert text in done.output


def test_what_is_damaged_fails_the_check(run, folder):
    add_plain(folder)
    (folder.path / "plain" / "model.json").write_text("{")
    done = run("verify")
    assert done.exit_code == 1
    assert "damaged plain" in done.output
    assert "cannot be used" in run("list").output


def doctor(folder, port):
    return CliRunner().invoke(main, ["doctor", "--port", str(port), "--weights-dir", str(folder.path)])


def test_doctor_knows_the_models(folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    add_plain(folder, licence="CC0-1.0")
    done = doctor(folder, port)
    assert done.exit_code == 0, done.output
    assert f"plain, weights {folder.record('plain').weights_hash[:12]}, licence CC0-1.0" in done.output
    (folder.path / "plain" / "model.json").write_text("{")
    done = doctor(folder, port)
    assert done.exit_code == 1
    assert "TO DO models: plain: " in done.output


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [("8GiB", 8 << 30), ("500MB", 500_000_000), ("2.5 gb", 2_500_000_000), ("1024", 1024), ("64k", 64_000)],
)
def test_sizes(text, nbytes):
    assert SIZE.convert(text, None, None) == nbytes


@pytest.mark.parametrize("text", ["", "0", "many", "-1GB", "5 apples", "1e9", "GiB"])
def test_what_is_no_size(text):
    with pytest.raises(click.BadParameter, match="8GiB"):
        SIZE.convert(text, None, None)


def test_sizes_are_shown():
    assert [shown(nbytes) for nbytes in (5, 2048, 41 << 20, 3 << 30)] == ["5 B", "2.0 KiB", "41.0 MiB", "3.0 GiB"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--models", "nothing,plain"], "there is no model 'nothing'; there are: wsisam-lite, plain"),
        (["--models", ","], "at least 1 item"),
        (["--model", "nothing"], "Choose one of wsisam-lite, plain"),
        (["--model-bytes", "many"], "8GiB"),
        (["--model-bytes", "10MiB"], "--model-bytes"),
    ],
)
def test_serve_refuses_with_what_to_do(folder, arguments, text):
    add_plain(folder)
    done = CliRunner().invoke(main, ["serve", "--port", "0", "--weights-dir", str(folder.path), *arguments])
    assert done.exit_code in (1, 2)
    assert text in " ".join(done.output.split())
    assert "Traceback" not in done.output


def test_segment_in_this_process_takes_an_added_model(folder, tmp_path):
    add_trained(folder, "ours")
    write_picture(tmp_path / "discs.png")
    box = around("a").box
    prompt = f"{box.x0:g},{box.y0:g},{box.x1:g},{box.y1:g}"
    arguments = ["segment", str(tmp_path / "discs.png"), "--box", prompt, "--weights-dir", str(folder.path)]
    done = CliRunner().invoke(main, [*arguments, "--model", "ours", "--threads", "1"])
    assert done.exit_code == 0, done.output
    assert "score" in done.output
    done = CliRunner().invoke(main, [*arguments, "--model", "theirs"])
    assert done.exit_code == 1
    assert "wsisam weights add theirs" in done.output


def test_a_served_program_takes_its_models_from_the_environment(tmp_path):
    one = mib(two_models(tmp_path / "weights"), "trained")
    write_picture(tmp_path / "discs.png")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "wsisam_server", "serve", "--port", "0", "--slides", str(tmp_path)),
            *("--models", "plain,trained", "--model-bytes", f"{one}MiB"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "WSISAM_WEIGHTS_DIR": str(tmp_path / "weights")},
    )
    try:
        target = process.stdout.readline().rsplit(" ", 1)[-1].strip()
        with Client(target, timeout=120) as client:
            slide = client.open_slide("discs.png").slide_id
            ready = {
                model.name: model.state == pb.MODEL_STATE_LOADED for model in client.models() if is_installed(model)
            }
            assert ready == {"plain": True, "trained": False}
            outline = client.segment(pb.SegmentRequest(slide_id=slide, prompt=around("a"), model="trained"))
            assert outline.model == "trained"
            report = doctor(WeightsFolder(tmp_path / "weights"), target.rsplit(":", 1)[1])
            assert "serves plain, " in report.output
            assert "loaded when asked for" in report.output
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert "model plain: unloaded" in err
    assert "model trained: loaded in" in err
