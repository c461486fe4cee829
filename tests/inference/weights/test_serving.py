"""A real server with named models, over real gRPC: asked by name, loaded, unloaded, added and removed while it runs."""

import queue
import threading

import pytest

from support.models import add_larger, add_plain, add_trained, files, mib, two_models
from support.one_window import one_window
from support.server import around, iou, start, write_picture
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_model import WsiSam
from wsisam_server.client import Client, ServerError, geometry, is_installed
from wsisam_server.core.settings import MIB, Limits
from wsisam_server.inference.weights import ServedModels


class Held(ServedModels):
    """The real source; a load waits until it may go on."""

    def __init__(self, folder):
        super().__init__(folder)
        self.begun, self.go = threading.Event(), threading.Event()
        self.go.set()

    def load(self, info):
        self.begun.set()
        self.go.wait(60)
        return super().load(info)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return two_models(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def source(shelf):
    return Held(shelf)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("slides")
    write_picture(root / "discs.png")
    return root


@pytest.fixture(scope="module")
def server(shelf, source, root):
    """With room for one model."""
    limits = Limits(model_bytes=mib(shelf, "trained") * MIB, model_room_seconds=1.0)
    running, stop = start(one_window, root, source, limits=limits)
    yield running
    stop()


@pytest.fixture
def client(server):
    with Client(server.target, timeout=120) as client:
        yield client


@pytest.fixture
def slide(client):
    return client.open_slide("discs.png").slide_id


def ask(client, slide, name="", disc="a"):
    return client.segment(pb.SegmentRequest(slide_id=slide, prompt=around(disc), model=name))


def loaded(client):
    return {model.name for model in client.models() if model.state == pb.MODEL_STATE_LOADED}


def test_two_models_by_name_in_one_session_take_turns(client, server, slide, source):
    before = server.encoder_runs
    lite, plain = ask(client, slide), ask(client, slide, "plain")
    assert loaded(client) == {"plain"}
    assert (lite.model, plain.model) == ("wsisam-lite", "plain")
    assert lite.weights_hash != plain.weights_hash
    assert server.encoder_runs == before + 2, "each has its own embedding"
    again = ask(client, slide, "wsisam-lite")
    assert loaded(client) == {"wsisam-lite"}
    assert again.geometry == lite.geometry
    assert server.encoder_runs == before + 2, "its embedding was kept"
    for outline in (lite, plain):
        assert iou(geometry(outline.geometry), "a") > 0.9


def test_models_are_listed_with_what_is_known_of_them(client, shelf):
    models = {model.name: model for model in client.models()}
    assert next(iter(models)) == "wsisam-lite"
    plain, record = models["plain"], shelf.record("plain")
    assert (plain.weights_hash, plain.memory_bytes) == (record.weights_hash, record.nbytes)
    assert (plain.licence, plain.image_size, plain.uses_low) == ("Apache-2.0", 256, False)
    assert is_installed(plain)
    assert not plain.is_default
    assert (models["trained"].licence, models["wsisam-lite"].licence) == ("", "Apache-2.0")
    is_loaded = {name: model.state == pb.MODEL_STATE_LOADED for name, model in models.items()}
    assert {name: model.encoder for name, model in models.items()} == {
        name: "torch" if is_loaded[name] else "" for name in models
    }
    tiny = models["wsisam-tiny"]
    assert (tiny.state, tiny.memory_bytes, bool(tiny.install_hint)) == (pb.MODEL_STATE_NOT_INSTALLED, 0, True)
    assert "wsisam weights add wsisam-tiny" in tiny.install_hint


def test_a_batch_names_its_model(client, slide):
    items = [pb.BatchItem(id=disc, prompt=around(disc)) for disc in "abc"]
    answers = list(client.segment_batch(pb.SegmentBatchRequest(slide_id=slide, model="trained", items=items)))
    assert {answer.outline.model for answer in answers} == {"trained"}


def test_a_stream_hears_that_its_model_is_loaded(client, slide, source):
    ask(client, slide, disc="c")
    source.begun.clear()
    source.go.clear()
    spec = queue.SimpleQueue()
    replies = client.interact(pb.Start(slide_id=slide, model="plain"), iter(spec.get, None))
    started = next(replies).started
    assert started.model == "plain"
    spec.put(pb.InteractRequest(prompt=pb.PromptRevision(object_id="disc", revision=1, prompt=around("b"))))
    progress = next(replies).progress
    assert (progress.object_id, progress.revision, progress.stage) == ("disc", 1, pb.STAGE_LOADING_MODEL)
    assert source.begun.wait(60)
    assert loaded(client) == set(), "the idle one made room"
    source.go.set()
    kinds = []
    for reply in replies:
        kinds.append(reply.WhichOneof("message"))
        if kinds[-1] == "outline":
            assert reply.outline.outline.weights_hash == started.weights_hash
            spec.put(None)
    assert kinds == ["progress", "outline"], "encoding, and the answer"


def test_an_unknown_model_is_told_what_there_is_and_how_to_add(client, slide):
    with pytest.raises(ServerError) as caught:
        ask(client, slide, "nothing")
    assert (caught.value.status, caught.value.reason) == ("NOT_FOUND", "UNKNOWN_MODEL")
    assert caught.value.details == {"model": "nothing", "available": "wsisam-lite, plain, trained"}
    for text in ("wsisam-lite, plain, trained", "wsisam weights add"):
        assert text in caught.value.text
    with pytest.raises(ServerError) as caught:
        list(client.interact(pb.Start(slide_id=slide, model="nothing"), ()))
    assert caught.value.reason == "UNKNOWN_MODEL"


def test_models_come_and_go_without_a_restart(client, slide, shelf):
    add_plain(shelf, "newcomer", licence="CC0-1.0")
    assert ask(client, slide, "newcomer").model == "newcomer"
    assert [model.licence for model in client.models() if model.name == "newcomer"] == ["CC0-1.0"]
    assert "newcomer" in loaded(client)
    shelf.remove("newcomer")
    assert "newcomer" not in {model.name for model in client.models()}
    with pytest.raises(ServerError) as caught:
        ask(client, slide, "newcomer")
    assert caught.value.reason == "UNKNOWN_MODEL"


def test_a_stream_goes_on_when_its_model_is_replaced(client, slide, shelf):
    expected, seen = [(add_plain(shelf, "changing").weights_hash, 256)], []
    spec = queue.SimpleQueue()
    replies = client.interact(pb.Start(slide_id=slide, model="changing"), iter(spec.get, None))
    next(replies)
    for revision in (1, 2, 3):
        spec.put(pb.InteractRequest(prompt=pb.PromptRevision(object_id="disc", revision=revision, prompt=around("a"))))
        reply = next(reply for reply in replies if reply.WhichOneof("message") != "progress")
        outline = reply.outline.outline
        seen.append((outline.weights_hash, outline.field.high.size))
        shelf.remove("changing")
        added = (add_trained if revision == 1 else add_larger)(shelf, "changing")
        expected.append((added.weights_hash, added.image_size))
    spec.put(None)
    assert list(replies) == []
    assert seen == expected[:3]
    assert [size for _, size in seen] == [256, 256, 1024]
    shelf.remove("changing")


def test_a_damaged_file_is_said_without_a_path(client, slide, shelf, tmp_path):
    add_plain(shelf, "damaged")
    path = shelf.path / "damaged" / "model.json"
    path.write_text(path.read_text().replace(str(files().sam), str(tmp_path / "gone.pth")))
    shelf.path.touch()
    with pytest.raises(ServerError) as caught:
        ask(client, slide, "damaged")
    assert (caught.value.status, caught.value.reason) == ("FAILED_PRECONDITION", "MODEL_DAMAGED")
    assert str(tmp_path) not in caught.value.text
    assert "wsisam weights verify" in caught.value.text
    assert ask(client, slide).model == "wsisam-lite"
    shelf.remove("damaged")


def test_a_model_that_does_not_fit_is_refused(shelf, source, root):
    needed = mib(shelf, "trained")
    limits = Limits(model_bytes=(needed - 1) * MIB)
    running, stop = start(WsiSam.from_files(files().sam), root, source, limits=limits)
    try:
        with Client(running.target, timeout=120) as client:
            slide = client.open_slide("discs.png").slide_id
            with pytest.raises(ServerError) as caught:
                ask(client, slide, "trained")
            assert (caught.value.status, caught.value.reason) == ("FAILED_PRECONDITION", "MODEL_TOO_LARGE")
            assert f"takes {needed} MiB" in caught.value.text
            assert ask(client, slide).model == "custom"
    finally:
        stop()
