"""The contract on a server's annotations, over a real socket."""

import socket

import grpc
import pytest

from annotations.store.conftest import LIMITS
from annotations.store.contract import StoreContract
from annotations.store.examples import draft, request
from support.annotations import Serving
from wsisam_server.annotations.store import PathClass
from wsisam_server.client import Client
from wsisam_server.client.remote_store import RemoteStore
from wsisam_server.core.errors import Reason, WsiSamServerError

pytestmark = pytest.mark.slow


@pytest.fixture
def serving(tmp_path):
    serving = Serving(str(tmp_path / "annotations.sqlite"), LIMITS)
    yield serving
    serving.stop()


@pytest.fixture
def again(serving):
    stores = []

    def connect():
        stores.append(RemoteStore(Client(serving.target)))
        return stores[-1]

    yield connect
    for store in stores:
        store.close()


class TestRemote(StoreContract):
    @pytest.fixture
    def store(self, again):
        return again()


def test_a_server_that_does_not_say_its_classes_is_asked_for_its_history(again, monkeypatch):
    """An older one knows nothing of `with_classes`."""
    store = again()
    first, other = draft(path_class=PathClass("Tumor")), draft()
    store.save([first, other], author="anna", request_id=request())
    store.save([draft(first.id, 1, path_class=PathClass("Stroma"))], author="anna", request_id=request())
    whole, monkeypatched = store._stream, []

    def older(method, message):
        for reply in whole(method, message):
            if getattr(message, "with_classes", False):
                reply.ClearField("classes")
                monkeypatched.append(reply)
            yield reply

    monkeypatch.setattr(store, "_stream", older)
    assert store.classes() == ["", "Stroma", "Tumor"]
    assert monkeypatched


def test_a_server_that_is_not_there():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Client(f"127.0.0.1:{port}") as client, pytest.raises(WsiSamServerError) as caught:
        RemoteStore(client)
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    assert grpc.StatusCode.UNAVAILABLE.name in caught.value.private
