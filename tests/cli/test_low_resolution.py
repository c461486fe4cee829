"""`--low-resolution`, as the commands that load a model have it."""

import pytest
from click.testing import CliRunner

from support.server import around, start, write_picture
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_model import registry
from wsisam_server.cli import main
from wsisam_server.cli.model import load_model
from wsisam_server.client import Client
from wsisam_server.inference.weights import default_folder

pytestmark = pytest.mark.model

SHIPPED = {
    "model": "wsisam-lite",
    "sam": None,
    "high": None,
    "low": None,
    "additions": None,
    "device": "cpu",
    "dtype": "auto",
}


@pytest.fixture
def slide(tmp_path):
    path = tmp_path / "discs.png"
    write_picture(path)
    return path


@pytest.mark.parametrize(("reading", "runs"), [("auto", 2), ("none", 1), ("middle", 2), ("whole", 2)])
def test_a_server_reads_as_much_as_it_is_told_to(slide, reading, runs):
    running, stop = start(load_model(**SHIPPED, weights_dir=default_folder(), low_resolution=reading), slide.parent)
    try:
        with Client(running.target, timeout=120) as client:
            asked = pb.SegmentRequest(slide_id=client.open_slide(str(slide)).slide_id, prompt=around("a"))
            answers = [client.segment(asked) for _ in range(2)]
            model, *_ = client.models()
    finally:
        stop()
    assert [answer.timings.encoder_runs for answer in answers] == [runs, 0]
    assert model.uses_low == (runs == 2)


def test_a_model_that_has_no_such_branch_says_so(slide):
    _, files = registry.resolve("wsisam-lite")
    options = ("--box", "10,10,90,90", "--sam", files.sam, "--low-resolution", "middle")
    done = CliRunner().invoke(main, ["segment", str(slide), *map(str, options)])
    assert done.exit_code == 1
    assert "no low-resolution branch" in done.output
