"""A folder of slides, and of what looks like slides, and the server of it."""

from PIL import Image

from support.server import picture, start
from wsisam_server.core.settings import MIB, Limits, PathMapping


def serving(model, tmp_path_factory):
    """The server of a model, until the tests are done with it."""
    root = tmp_path_factory.mktemp("slides")
    Image.fromarray(picture()).save(root / "discs.png")
    (root / "case 7").mkdir()
    Image.fromarray(picture(1)).save(root / "case 7" / "discs.png")
    (root / "notes.txt").write_text("not a slide")
    (root / "broken.svs").write_bytes(b"II*\0" + bytes(range(256)) * 40)
    data = (root / "discs.png").read_bytes()
    (root / "truncated.png").write_bytes(data[: len(data) // 2])
    outside = tmp_path_factory.mktemp("outside")
    Image.fromarray(picture(2)).save(outside / "secret.png")
    (root / "link.png").symlink_to(outside / "secret.png")
    running, stop = start(
        model,
        root,
        map=(PathMapping("Z:\\slides", root),),
        limits=Limits(
            message_bytes=4 * MIB,
            embedding_cache_bytes=128 * MIB,
            points_per_prompt=16,
            prefetched_fields=0,  # encoder runs are counted
        ),
    )
    yield running
    stop()
