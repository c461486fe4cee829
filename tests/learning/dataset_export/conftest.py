import pytest

from support.server import write_picture
from wsisam_server.learning.dataset_export import AnnotatedSlide, AnnotationSet, ExportOptions, SlideFinder, make


@pytest.fixture
def slide_file(tmp_path):
    """Writes a slide of 900 x 700 pixels, each seed another one."""

    def write(seed=0, name=None, folder=tmp_path / "slides"):
        folder.mkdir(exist_ok=True)
        path = folder / (name or f"case-{seed}.png")
        write_picture(path, seed)
        return path

    return write


@pytest.fixture
def making(tmp_path):
    """Makes a data set of slides: paths and what is drawn on them."""

    def run(slides, out=tmp_path / "out", *, progress=lambda _done, _total: None, **options):
        options.setdefault("window", 256)
        found = tuple(AnnotatedSlide(path.name, (path.as_uri(),), tuple(objects)) for path, objects in slides.items())
        return make(AnnotationSet(found, {"store": "here"}), SlideFinder(), out, ExportOptions(**options), progress)

    return run
