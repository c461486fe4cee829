"""The contract on a server's annotations, over a real socket."""

import socket
import uuid

import grpc
import pytest
import shapely

from annotations.store.conftest import LIMITS
from annotations.store.contract import StoreContract
from annotations.store.fields import FieldsContract
from support.annotations import Serving
from wsisam_server.annotations.store import Content, Draft, RevisionConflictError
from wsisam_server.client import Client
from wsisam_server.client.remote_store import RemoteStore
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.wire import annotation_to_proto

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


class TestRemote(StoreContract, FieldsContract):
    @pytest.fixture
    def store(self, again):
        return again()


def test_a_server_that_is_not_there():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Client(f"127.0.0.1:{port}") as client, pytest.raises(WsiSamServerError) as caught:
        RemoteStore(client)
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    assert grpc.StatusCode.UNAVAILABLE.name in caught.value.private


@pytest.mark.parametrize("room", [annotation_to_proto.CONFLICT_BYTES, 0])
def test_a_conflict_that_fits_into_no_header_has_the_stored_version(again, monkeypatch, room):
    """Also of a server that sends none of it, as those of before 0.2."""
    store, one = again(), uuid.uuid4()

    def save(name):
        draft = Draft(one, Content(slide_id="case-7", shape=shapely.box(0, 0, 5, 5), name=name))
        return store.save([draft], author="anna", request_id=uuid.uuid4().hex)

    save("x" * 5000)
    monkeypatch.setattr(annotation_to_proto, "CONFLICT_BYTES", room)
    with pytest.raises(RevisionConflictError) as caught:
        save("y" * 5000)
    (conflict,) = caught.value.conflicts
    assert (conflict.stored.id, conflict.stored.revision, conflict.stored.content.name) == (one, 1, "x" * 5000)
    assert (caught.value.details["annotation_id"], caught.value.details["current"]) == (str(one), "1")
