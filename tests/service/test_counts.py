"""What a click and a batch may cost, in counts that no machine changes: encoder runs, pixels read, bytes sent.

Times are measured in benchmarks/. These numbers are the ones that times follow from, and a test can hold them.
"""

import random
from dataclasses import dataclass

import openslide
import pytest

from support.server import box, clicks, start
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_model import WsiSam
from wsisam_server.core.settings import Limits

SIDE = 256
MARGIN = 8
"""Pixels on each side that the resampling filter may want beyond a window."""

LOW_SIDE = 112
"""Of the low-resolution window, the middle is read."""

WINDOWS = 2
"""Of a field: the high-resolution one, and the low-resolution one about the same centre."""

CORNERS = [(300, 500), (1100, 1700)]


@dataclass
class Costs:
    encoder_runs: int
    regions: int
    pixels: int
    sent: int


class Counting:
    """Counts what is done between two looks at it."""

    def __init__(self, running, monkeypatch):
        self._running = running
        self._before = running.encoder_runs
        self._regions = []
        self.sent = 0
        read = openslide.OpenSlide.read_region

        def counted(handle, location, level, size):
            self._regions.append(size)
            return read(handle, location, level, size)

        monkeypatch.setattr(openslide.OpenSlide, "read_region", counted)

    def costs(self):
        made = Costs(
            self._running.encoder_runs - self._before,
            len(self._regions),
            sum(width * height for width, height in self._regions),
            self.sent,
        )
        self._before = self._running.encoder_runs
        self._regions.clear()
        self.sent = 0
        return made


@pytest.fixture(scope="module")
def server(real_slides):
    running, stop = start(WsiSam.from_name(), real_slides, limits=Limits(prefetched_fields=0))
    yield running
    stop()


@pytest.fixture
def counting(server, monkeypatch):
    server.app.models.device.cache.clear()
    return Counting(server, monkeypatch)


@pytest.fixture
def slide_id(client, real_slides):
    return client.open_slide(str(real_slides / "CMU-1-Small-Region.svs")).slide_id


def high(x, y):
    return pb.FieldChoice(high=geo.Window(x=x, y=y, downsample=1, size=SIDE))


def covered(downsample, margin=0):
    """Pixels of a level that the windows cover of which a field is read."""
    return sum((scale * downsample * (side + 2 * margin)) ** 2 for scale, side in ((1, SIDE), (2, LOW_SIDE)))


def test_a_click_reads_each_window_once_and_the_next_ones_nothing(client, counting, slide_id):
    x, y = CORNERS[0]

    def click(*marks):
        request = pb.SegmentRequest(slide_id=slide_id, prompt=clicks(*marks), field=high(x, y))
        counting.sent += request.ByteSize()
        counting.sent += client.stub.Segment(request).ByteSize()

    counting.costs()
    click((x + 100, y + 90, True))
    first = counting.costs()
    assert (first.encoder_runs, first.regions) == (WINDOWS, WINDOWS)
    assert covered(1) <= first.pixels <= covered(1, MARGIN)
    for number in range(1, 6):
        click((x + 100, y + 90, True), (x + 100 + 10 * number, y + 120, number % 2 == 0))
    later = counting.costs()
    assert (later.encoder_runs, later.regions, later.pixels) == (0, 0, 0)
    # Neither pixels nor logits travel: 256 x 256 of either would be 192 KiB and more.
    assert max(first.sent, later.sent / 5) < 16 * 1024


def test_a_batch_reads_and_encodes_each_window_once_whatever_the_order(client, counting, slide_id):
    items = [
        pb.BatchItem(id=f"{n} {x} {y}", prompt=box(x + 20 + n, y + 30, x + 90 + n, y + 110), field=high(x, y))
        for x, y in CORNERS
        for n in range(4)
    ]
    random.Random(0).shuffle(items)
    counting.costs()
    answers = list(client.segment_batch(pb.SegmentBatchRequest(slide_id=slide_id, items=items)))
    costs = counting.costs()
    assert {answer.id for answer in answers} == {item.id for item in items}
    assert not any(answer.error for answer in answers)
    assert (costs.encoder_runs, costs.regions) == (2 * WINDOWS, 2 * WINDOWS)
    assert costs.pixels <= 2 * covered(1, MARGIN)


def test_a_coarse_window_is_read_from_the_level_that_is_near_it(client, counting, slide_id):
    """The slide has one level; pixels are read once each, however coarse, and no more of them than the window covers."""
    downsample = 4
    request = pb.SegmentRequest(
        slide_id=slide_id,
        prompt=box(800, 1200, 1200, 1600),
        field=pb.FieldChoice(high=geo.Window(x=600, y=1000, downsample=downsample, size=SIDE)),
    )
    counting.costs()
    client.segment(request)
    costs = counting.costs()
    assert costs.encoder_runs == WINDOWS
    assert covered(downsample) <= costs.pixels <= covered(downsample, MARGIN)
