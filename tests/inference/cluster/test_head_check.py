"""Whether there is a Ray cluster is known in seconds, before Ray is imported."""

import socket
import sys
import threading
import time
from concurrent import futures

import grpc
import pytest

from wsisam_server.core.settings import Limits, Ray
from wsisam_server.inference.cluster import ClusterError, ClusterModels, head_check
from wsisam_server.inference.cluster.head_check import check_head, within


@pytest.fixture
def silent():
    """A port that is listened on, where nobody says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def free():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"127.0.0.1:{port}"


@pytest.fixture
def head():
    """What answers as a head does, and counts how often."""
    asked = []

    class Head(grpc.GenericRpcHandler):
        def service(self, call):
            asked.append(call.method)
            if call.method == "/ray.rpc.NodeInfoGcsService/CheckAlive":
                return grpc.unary_unary_rpc_method_handler(lambda *_: b"")
            return None

    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=(Head(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", asked
    server.stop(None)


def test_where_nothing_listens(free, monkeypatch):
    for address in (free, f"ray://{free}"):
        with pytest.raises(ClusterError, match=f"no Ray cluster at {free}: nothing answers"):
            check_head(address)
    monkeypatch.delitem(sys.modules, "wsisam_server.inference.cluster.deploy", raising=False)
    with pytest.raises(ClusterError, match="no Ray cluster"):
        ClusterModels(None, None, Ray(address=free), Limits())
    assert "wsisam_server.inference.cluster.deploy" not in sys.modules, "Ray is not imported for it"


def test_where_something_else_listens(silent, monkeypatch):
    monkeypatch.setattr(head_check, "CONNECT_SECONDS", 0.5)
    with pytest.raises(ClusterError, match=f"no Ray cluster at {silent}: something else"):
        check_head(silent)


def test_another_grpc_server_is_no_head():
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with pytest.raises(ClusterError, match="something else"):
        check_head(f"127.0.0.1:{port}")
    server.stop(None)


def test_a_head_is_asked_past_any_proxy(head, free, monkeypatch, tmp_path):
    address, asked = head
    monkeypatch.setenv("http_proxy", f"http://{free}")
    check_head(address)
    monkeypatch.setenv("RAY_ADDRESS", address)
    check_head("auto")
    monkeypatch.delenv("RAY_ADDRESS")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    check_head("auto")  # none is known: Ray says so itself
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(f"{address}\n")
    check_head("auto")
    assert len(asked) == 3
    (tmp_path / "ray" / "ray_current_cluster").write_text(free)
    with pytest.raises(ClusterError, match=f"no Ray cluster at {free}"):
        check_head("auto")


def test_a_call_that_hangs_is_left_alone():
    ended = threading.Event()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        within(0.1, ended.wait)
    assert time.monotonic() - began < 5
    ended.set()
    with pytest.raises(KeyError):
        within(5, lambda: {}["x"])
    within(5, lambda: None)
