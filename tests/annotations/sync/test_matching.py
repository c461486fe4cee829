"""Which slide an image shows."""

import shutil
import uuid
from pathlib import Path

import pytest
import shapely
from PIL import Image as Picture

from annotations.sync.worlds import World
from wsisam_server.annotations.store import Content, Draft, SlideRecord
from wsisam_server.annotations.sync.matching import Matcher, UnmatchedError
from wsisam_server.annotations.sync.model import Image
from wsisam_server.annotations.sync.record import SlideSeen
from wsisam_server.annotations.sync.report import Outcome
from wsisam_server.core.geometry import SlideSize
from wsisam_server.slides import fingerprint

SIZE = SlideSize(900, 700)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def matcher(store, folder):
    return Matcher(store, folder, None)


def image(path, size=SIZE, view=""):
    return Image("1", "first", (path if isinstance(path, str) else path.as_uri(),), size, view)


def known(store, slide_id, *uris, size=SIZE):
    content = Content(slide_id, shapely.box(0, 0, 9, 9))
    store.save(
        [Draft(uuid.uuid4(), content)],
        author="a",
        request_id=uuid.uuid4().hex,
        slides=[SlideRecord(slide_id, uris, size)],
    )


def test_a_file_is_known_by_what_it_contains(matcher, slides):
    seen = matcher.match(image(slides[0]), None)
    assert seen.slide_id == fingerprint(slides[0])
    assert seen.file[0] == str(slides[0])


def test_what_was_found_before_is_taken_as_long_as_the_file_is_the_same(matcher, slides):
    status = slides[0].stat()
    seen = SlideSeen("as before", (slides[0].as_uri(),), (str(slides[0]), status.st_size, status.st_mtime_ns))
    assert matcher.match(image(slides[0]), seen) is seen
    touched = (str(slides[0]), status.st_size, status.st_mtime_ns - 1)
    as_before = SlideSeen(fingerprint(slides[0]), (slides[0].as_uri(),), touched)
    assert matcher.match(image(slides[0]), as_before).file == seen.file
    with pytest.raises(UnmatchedError, match="not the slide that this image was synced with"):
        matcher.match(image(slides[0]), SlideSeen("another", (slides[0].as_uri(),), touched))


def test_an_image_whose_file_is_another_one_now_is_looked_at_anew(matcher, slides):
    seen = SlideSeen("as before", ("file:/elsewhere.png",), ("/elsewhere.png", 1, 1))
    assert matcher.match(image(slides[0]), seen).slide_id == fingerprint(slides[0])


def test_a_file_that_is_not_here_is_known_by_its_uri(matcher, store):
    uri = "file:///Z:/slides/gone.svs"
    known(store, "a slide", uri)
    assert matcher.match(image(uri), None) == SlideSeen("a slide", (uri,), None)


def test_not_when_its_size_is_another(matcher, store):
    uri = "file:///Z:/slides/gone.svs"
    known(store, "a slide", uri, size=SlideSize(1, 1))
    with pytest.raises(UnmatchedError, match="not on this machine"):
        matcher.match(image(uri), None)


def test_a_file_that_is_not_here_and_that_nobody_knows(matcher):
    with pytest.raises(UnmatchedError, match=r"gone\.svs"):
        matcher.match(image("file:///Z:/slides/gone.svs"), None)


def test_a_slide_that_only_clients_can_open_is_named_by_its_uri(matcher, store, slides):
    known(store, slides[0].as_uri())
    assert matcher.match(image(slides[0]), None).slide_id == slides[0].as_uri()


def test_the_fingerprint_goes_before_the_uri(matcher, store, slides):
    known(store, slides[0].as_uri())
    known(store, fingerprint(slides[0]), slides[0].as_uri())
    assert matcher.match(image(slides[0]), None).slide_id == fingerprint(slides[0])


def test_another_file_under_the_old_name_is_another_slide(matcher, store, slides, tmp_path):
    path = tmp_path / "slide.png"
    shutil.copy(slides[0], path)
    known(store, fingerprint(path), path.as_uri())
    shutil.copy(slides[1], path)
    assert matcher.match(image(path), None).slide_id == fingerprint(slides[1])


def test_a_file_of_another_size_is_refused(matcher, slides):
    with pytest.raises(UnmatchedError, match="900 x 700 pixels, and QuPath has 450 x 350"):
        matcher.match(image(slides[0], SlideSize(450, 350)), None)


def test_an_image_whose_size_qupath_does_not_say(matcher, slides):
    assert matcher.match(image(slides[0], None), None).slide_id == fingerprint(slides[0])


@pytest.mark.parametrize("view", ["rotated", "cropped", "series 2"])
def test_parts_and_turned_images_are_refused(matcher, slides, view):
    with pytest.raises(UnmatchedError, match=view):
        matcher.match(image(slides[0], view=view), None)


def test_images_beside_a_moved_project_are_found(store, folder, slides):
    """By the way from where the project was to where the image was, and by the name beside the project."""
    (folder.parent / "slides").mkdir()
    shutil.copy(slides[0], folder.parent / "slides/moved.png")
    shutil.copy(slides[1], folder / "beside.png")
    matcher = Matcher(store, folder, "file:/old/place/project/project.qpproj")
    assert matcher.match(image("file:/old/place/slides/moved.png"), None).slide_id == fingerprint(slides[0])
    # A name alone says nothing; that the slide was seen there does.
    with pytest.raises(UnmatchedError, match="lies beside the project"):
        matcher.match(image("file:/elsewhere/beside.png"), None)
    known(store, fingerprint(slides[1]), "file:/elsewhere/beside.png")
    assert matcher.match(image("file:/elsewhere/beside.png"), None).slide_id == fingerprint(slides[1])


def test_a_moved_project_whose_slide_is_known_takes_no_other(store, folder, slides):
    (folder.parent / "slides").mkdir()
    shutil.copy(slides[0], folder.parent / "slides/moved.png")
    known(store, fingerprint(slides[1]), "file:/old/place/slides/moved.png")
    matcher = Matcher(store, folder, "file:/old/place/project/project.qpproj")
    found = matcher.match(image("file:/old/place/slides/moved.png"), None)
    assert (found.slide_id, found.file) == (fingerprint(slides[1]), None)


def test_a_slide_that_is_known_by_its_uri_alone_is_compared_by_size(matcher, store, slides):
    known(store, slides[0].as_uri(), size=SlideSize(640, 480))
    assert matcher.match(image(slides[0]), None).slide_id == fingerprint(slides[0])


@pytest.mark.parametrize("size", [None, SlideSize(640, 480)])
def test_a_place_alone_makes_no_slide(matcher, store, size):
    """Two computers have a file there: without sizes that agree nothing says that it is one slide."""
    uri = "file:///D:/slides/1.svs"
    known(store, uri, size=size)
    with pytest.raises(UnmatchedError, match="no slide of its size"):
        matcher.match(image(uri), None)


def test_a_file_that_we_cannot_open_is_known_all_the_same(matcher, tmp_path):
    path = tmp_path / "slide.vsi"
    path.write_bytes(b"a format that QuPath reads and we do not")
    assert matcher.match(image(path), None).slide_id == fingerprint(path)


def test_a_real_slide(matcher, real_slides):
    path = real_slides / "CMU-1-Small-Region.svs"
    assert matcher.match(image(path, SlideSize(2220, 2967)), None).slide_id == fingerprint(path)
    with pytest.raises(UnmatchedError):
        matcher.match(image(path, SlideSize(2967, 2220)), None)


def test_two_images_of_one_slide(tools, tmp_path, store, slides):
    copy = tmp_path / "copy.png"
    shutil.copy(slides[0], copy)
    project = tools.editor.create(str(tmp_path / "P"), [str(slides[0]), str(copy)])
    world = World(tools, Path(project), store, [slides[0], copy])
    one = world.save(shapely.box(0, 0, 9, 9))
    report = world.sync()
    assert [done.outcome for done in report.images] == [Outcome.SYNCED, Outcome.UNMATCHED]
    assert "same slide as first.png" in report.images[1].problems[0]
    assert world.shown().keys() == {one}
    assert world.shown("2") == {}
    with Picture.open(copy) as opened:
        assert opened.size == (900, 700)
