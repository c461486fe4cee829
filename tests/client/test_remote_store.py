"""The contract on a server's annotations, over a real socket."""

import socket

import grpc
import pytest

from annotations.store.conftest import LIMITS
from annotations.store.contract import StoreContract
from annotations.store.fields import FieldsContract
from support.annotations import Serving
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
