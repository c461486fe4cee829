"""A network drive that does not answer: whoever works elsewhere does not notice, and the server ends in time."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from PIL import Image

from support.annotations import Caller, new
from support.server import around, box, picture
from support.waiting import until
from tests.slides.images import write_pyramid
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, ServerError

TESTS = Path(__file__).parents[1]
CALLERS = 24
"""More than Python has default threads on any machine of the tests."""


@pytest.fixture
def place(tmp_path):
    """Two roots, and a server of them in a process of its own; `hangs` is there while "slow" hangs, from the start."""
    place = tmp_path.resolve()
    for name in ("slow", "good"):
        (place / name).mkdir()
        write_pyramid(place / name / f"{name}.tif", picture(int(name == "slow")), 1)
    for number in range(CALLERS):
        Image.fromarray(picture()[:50, number : number + 50]).save(place / "slow" / f"{number}.png")
    (place / "hangs").touch()
    (place / "wsisam.toml").write_text("[limits]\nfile_system_seconds = 1\ndrain_seconds = 2\n")
    command = [sys.executable, "-m", "support.hanging_server", str(place / "slow"), str(place / "hangs"), "--port", "0"]
    command += ["--slides", str(place / "slow"), "--slides", str(place / "good")]
    command += ["--config", str(place / "wsisam.toml"), "--store", str(place / "annotations.sqlite")]
    with (place / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=TESTS)
        target = server.stdout.readline().rsplit(" ", 1)[-1].strip()
        yield place, server, target
        server.kill()
        server.communicate()


def reason(call):
    with pytest.raises(ServerError) as caught:
        call()
    return caught.value.status, caught.value.reason, caught.value.retry_seconds


def answers_again(folder, client):
    (folder / "hangs").unlink()

    def noticed():
        with suppress(ServerError):
            return client.open_slide("slow.tif")

    return until(noticed, 10, pause=0.1)


UNAVAILABLE = ("UNAVAILABLE", "SLIDE_UNAVAILABLE", 5)


def test_others_work_on_and_the_process_ends(place):
    folder, server, target = place
    with Client(target) as client, closing(Caller(target)) as caller, ThreadPoolExecutor(CALLERS) as callers:
        # It has not answered since the start, which did not wait for it.
        assert f"the drive of {folder / 'slow'} does not answer" in (folder / "log").read_text()
        assert reason(lambda: client.open_slide(str(folder / "slow" / "slow.tif"))) == UNAVAILABLE
        good = client.open_slide("good.tif")
        slow = answers_again(folder, client)

        def click(slide, name="a"):
            return client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around(name)))

        click(good)
        click(slow)
        (folder / "hangs").touch()
        paths = [str(folder / "slow" / f"{number}.png") for number in range(CALLERS)]
        opening = [callers.submit(reason, lambda path=path: client.open_slide(path)) for path in paths]
        # Nobody knows yet that it hangs, and all who ask it wait.
        assert not any(one.done() for one in opening)
        assert click(good).geometry.polygons
        assert client.open_slide(str(folder / "good" / "good.tif")).slide_id == good.slide_id
        annotation = new(slide_id=good.slide_id)
        assert caller.save(annotation)
        assert caller.ids() == [annotation.id]
        assert not any(one.done() for one in opening)
        assert {one.result(30) for one in opening} == {UNAVAILABLE}
        # Now it is known: also for what is cached, and for pixels that are offered in its stead.
        started = time.monotonic()
        assert reason(lambda: client.open_slide(paths[0])) == UNAVAILABLE
        assert reason(lambda: client.open_slide(paths[0], pb.PixelSource(width=50, height=50))) == UNAVAILABLE
        assert reason(lambda: click(slow)) == UNAVAILABLE
        assert reason(lambda: client.segment(pb.SegmentRequest(slide_id=slow.slide_id, prompt=box(1, 1, 9, 9)))) == (
            UNAVAILABLE
        )
        assert time.monotonic() - started < 1
        assert answers_again(folder, client).slide_id == slow.slide_id
        assert click(slow).geometry.polygons
        # And once more, to be stopped.
        (folder / "hangs").touch()
        opening = [callers.submit(reason, lambda path=path: client.open_slide(path)) for path in paths]
        time.sleep(0.2)
        started = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert server.wait(15) == 0
        assert time.monotonic() - started < 2 + 5
        assert {one.result(10)[0] for one in opening} == {"UNAVAILABLE"}
    assert "Traceback" not in (folder / "log").read_text()


def test_it_ends_while_its_store_is_being_opened(tmp_path):
    (tmp_path / "hangs").touch()
    command = [sys.executable, "-m", "support.hanging_server", str(tmp_path / "slow"), str(tmp_path / "hangs")]
    command += ["--port", "0", "--store", str(tmp_path / "slow" / "annotations.sqlite")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=TESTS) as server:
        try:
            assert server.stderr.readline() == "wsisam: loading the model\n"
            time.sleep(0.5)
            started = time.monotonic()
            server.send_signal(signal.SIGTERM)
            output, errors = server.communicate(timeout=30)
            assert time.monotonic() - started < 5
        finally:
            server.kill()
    assert (server.returncode, output) == (0, "wsisam: stopping\n")
    assert "Traceback" not in errors
