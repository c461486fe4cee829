"""A survey that was cut off is gone on with, over a real socket: what comes is what an undisturbed one finds."""

import pytest
import shapely

from support.dark_parts import DarkParts
from support.line import Line
from support.server import HEIGHT, WIDTH, picture, start, write_picture
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, ServerError, areas

# Objects of half the largest size: each is found from several windows, so that much is undecided between two of them.
WANTED = pb.ProposalFilter(min_size=60, max_size=200)
REGION = shapely.box(60, 60, 760, 620)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("slides")
    write_picture(root / "discs.png")
    return root


@pytest.fixture(scope="module")
def running(root):
    running, stop = start(DarkParts(), root)
    yield running
    stop()


def request(slide, **more):
    more.setdefault("filter", WANTED)
    # What is there already, in the middle of disc b: it stays so on both sides of a seam.
    existing = [areas(shapely.Point(600, 250).buffer(90))] if "existing" not in more else more.pop("existing")
    return pb.SegmentEverythingRequest(slide_id=slide.slide_id, region=areas(REGION), existing=existing, **more)


def found(answers):
    return [one.outline.geometry for answer in answers for one in answer.proposals]


@pytest.fixture(scope="module")
def whole(running):
    """The answers that come undisturbed."""
    with Client(running.target, timeout=60) as client:
        return list(client.segment_everything(request(client.open_slide("discs.png"))))


def test_the_seam_lies_among_what_is_undecided(whole):
    """Or the tests below would show nothing: objects are found, and one is final long after its window."""
    assert len(found(whole)) == 2
    assert max(len(answer.resume_token) for answer in whole) > min(len(answer.resume_token) for answer in whole)
    assert whole[-1].counts.existing
    assert whole[-1].counts.repeated


def test_a_line_that_is_lost_after_the_first_a_middle_or_the_last_answer_changes_nothing(running, whole):
    line = Line(running.target)
    with Client(line.target, timeout=60) as client:
        asked = request(client.open_slide("discs.png"))
        for lost in (0, len(whole) // 2, len(whole) - 1):
            answers, connections = [], line.connections
            for answer in client.segment_everything(asked):
                answers.append(answer)
                if len(answers) == lost + 1:
                    line.drop()
            assert line.connections == connections + 1 or lost + 1 == len(whole)
            assert found(answers) == found(whole)
            assert answers[-1].counts == whole[-1].counts
            assert [a.windows_done for a in answers if a.proposals] == [a.windows_done for a in whole if a.proposals]
    line.close()


def test_a_token_leads_to_the_rest(running, whole):
    """One by one, as a client does that keeps tokens itself; the first answer says where it goes on."""
    with Client(running.target, timeout=60) as client:
        asked = request(client.open_slide("discs.png"))
        for number in (0, len(whole) // 3, len(whole) // 2, len(whole) - 1):
            asked.resume_token = whole[number].resume_token
            first, *rest = client.segment_everything(asked)
            assert (first.windows_done, first.counts) == (whole[number].windows_done, whole[number].counts)
            assert first.resume_token == asked.resume_token
            assert found(rest) == found(whole[number + 1 :])
            assert [one.windows_done for one in rest] == [one.windows_done for one in whole[number + 1 :]]


def test_a_server_that_is_restarted_on_the_way_changes_nothing(root, whole):
    first, stop_first = start(DarkParts(), root)
    second, stop_second = start(DarkParts(), root)
    line, answers = Line(first.target), []
    try:
        with Client(line.target, timeout=60) as client:
            for answer in client.segment_everything(request(client.open_slide("discs.png"))):
                answers.append(answer)
                if len(answers) == len(whole) // 2:
                    line.drop(second.target)
        # The second had never been asked for the slide.
        assert second.encoder_runs > 0
    finally:
        line.close()
        stop_first()
        stop_second()
    assert found(answers) == found(whole)
    assert answers[-1].counts == whole[-1].counts


def test_in_pixel_mode_only_what_is_left_is_asked_for_again(running):
    with Client(running.target, timeout=60) as client:

        def tiles_of(error):
            return [
                pb.PixelTile(
                    window=one,
                    encoding=pb.TILE_ENCODING_RAW,
                    data=pixels[one.y : one.y + one.height, one.x : one.x + one.width].tobytes(),
                )
                for one in error.pixels_needed.windows
            ]

        pixels = picture()
        # Windows of the slide's own scale, so that a tile is a part of the picture.
        wanted = pb.ProposalFilter(min_size=60, max_size=128)

        def opened():
            slide = client.open_slide("nowhere.svs", pb.PixelSource(width=WIDTH, height=HEIGHT))
            return request(slide, filter=wanted, existing=[])

        def needs(asked):
            with pytest.raises(ServerError) as caught:
                list(client.segment_everything(asked))
            assert caught.value.reason == "PIXELS_NEEDED"
            return caught.value

        asked = opened()
        everything = needs(asked)
        asked.tiles.extend(tiles_of(everything))
        whole = list(client.segment_everything(asked))
        half = len(whole) // 2
        # A client that was cut off long enough has another slide id, and the server none of its pixels.
        again = opened()
        again.resume_token = whole[half].resume_token
        rest = needs(again)
        assert len(rest.pixels_needed.windows) < len(everything.pixels_needed.windows)
        again.tiles.extend(tiles_of(everything))
        answers = list(client.segment_everything(again))
    assert found(whole[: half + 1]) + found(answers) == found(whole)
    assert len(found(whole)) > 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda asked: asked.filter.CopyFrom(pb.ProposalFilter(min_size=61, max_size=200)), "another request"),
        (lambda asked: asked.ClearField("existing"), "another request"),
        (lambda asked: setattr(asked, "mpp", 0.5), "another request"),
        (lambda asked: setattr(asked, "resume_token", b"nothing"), "not made by"),
        (lambda asked: setattr(asked, "resume_token", asked.resume_token[:-1] + b"\xff"), "not made by"),
        (lambda asked: setattr(asked, "resume_token", asked.resume_token + b"\x01"), "not made by"),
        (lambda asked: setattr(asked, "resume_token", asked.resume_token + b"\x01\x01"), "not of this search"),
        (lambda asked: setattr(asked, "resume_token", asked.resume_token[:16] + b"\xff" * 5000), "not made by"),
        (lambda asked: setattr(asked, "resume_token", b"x" + asked.resume_token[1:]), "another request"),
    ],
)
def test_a_token_of_something_else_is_refused(running, whole, change, problem):
    with Client(running.target, timeout=60) as client:
        asked = request(client.open_slide("discs.png"), resume_token=whole[len(whole) // 2].resume_token)
        change(asked)
        with pytest.raises(ServerError, match=problem) as caught:
            list(client.segment_everything(asked))
    assert (caught.value.status, caught.value.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert [one.field for one in caught.value.violations] == ["resume_token"]
