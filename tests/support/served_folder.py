"""A folder of slides, and of what looks like slides, and the server of it."""

from support.server import start, write_picture
from wsisam_server.core.settings import MIB, Limits, PathMapping


def serving(model, tmp_path_factory):
    """The server of a model, until the tests are done with it."""
    root = tmp_path_factory.mktemp("slides")
    write_picture(root / "discs.png")
    (root / "case 7").mkdir()
    write_picture(root / "case 7" / "discs.png", 1)
    (root / "notes.txt").write_text("not a slide")
    (root / "broken.svs").write_bytes(b"II*\0" + bytes(range(256)) * 40)
    data = (root / "discs.png").read_bytes()
    (root / "truncated.png").write_bytes(data[: len(data) // 2])
    outside = tmp_path_factory.mktemp("outside")
    write_picture(outside / "secret.png", 2)
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
