"""A server among enemies, in small; benchmarks/hostile.py is the same with ten thousand requests."""

import logging
import threading

import grpc
import pytest
from grpc_health.v1 import health_pb2

from support import wire
from support.dark_parts import DarkParts
from support.hostile import Attacker, Canary, Holding, holdings, unreadable_method
from support.server import around, start, write_picture
from support.waiting import until
from support.wild import METHODS, callable_of, path_of
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, server_error

pytestmark = pytest.mark.slow

REQUESTS, CONNECTIONS, IDLE = 300, 10, 100
SLOW = 3.0
"""Seconds for a prompt that takes milliseconds: what a server that is held up does not keep to."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A server with a store, its honest user, and the slide."""
    root = tmp_path_factory.mktemp("hostile")
    write_picture(root / "discs.png")
    running, stop = start(DarkParts(), root, store=str(root / "annotations.sqlite"))
    with Client(running.target, timeout=20) as client:
        slide = client.open_slide("discs.png")
        yield running, Canary(client, pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a"))), slide
    stop()


def test_wrong_requests_are_answered_and_no_error_is_the_servers(lab, caplog):
    running, canary, slide = lab
    attackers = [Attacker(running.target, seed, slide.slide_id, "discs.png") for seed in (1, 2)]
    threads = [threading.Thread(target=attacker.send, args=(REQUESTS // 2,)) for attacker in attackers]
    with caplog.at_level(logging.ERROR):
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            canary.seconds(1)
            threads[0].join(0.1)
    assert [bad for attacker in attackers for bad in attacker.tally.bad] == []
    assert sum(sum(attacker.tally.answered.values()) for attacker in attackers) == REQUESTS
    assert complaints(caplog) == []


def test_connections_that_hold_on_keep_nobody_waiting(lab, caplog):
    running, canary, slide = lab
    with caplog.at_level(logging.ERROR):
        for name, begin in holdings(running.target, slide.slide_id, "discs.png", CONNECTIONS, IDLE).items():
            with begin() as connections:
                assert canary.seconds(3, connections.step) < SLOW, name
        until(lambda: not any("wsisam" in method for method, _ in running.app._access.running()), 20)
    assert complaints(caplog) == []


def complaints(caplog):
    return [record.getMessage() for record in caplog.records if record.name.startswith(("wsisam", "asyncio"))]


@pytest.mark.parametrize("method", METHODS, ids=path_of)
def test_bytes_that_are_no_message_are_the_callers_fault_in_every_method(lab, method):
    wrong = b"\x0a\xff\xff\xff"
    with grpc.insecure_channel(lab[0].target) as channel, pytest.raises(grpc.RpcError) as caught:
        list(callable_of(channel, method)(iter([wrong]) if method.client_streaming else wrong, timeout=20))
    assert server_error(caught.value).reason == "INVALID_FIELD"


def test_strangers_are_refused_before_their_message_is_there(tmp_path):
    """What gRPC takes in for them would be up to 16 MiB for each call, as many as they like."""
    running, stop = start(DarkParts(), tmp_path, tokens=tmp_path / "tokens.json", require_tokens=True)
    refused = {"method": "Annotations/Save", "status": "UNAUTHENTICATED"}
    save = wire.call("/wsisam.v1.Annotations/Save", wire.message(b"begins", length=2**20), end=False)
    with Holding(running.target, 3, wire.opening() + save):
        until(lambda: running.app._metrics.get_sample_value("wsisam_calls_total", refused) == 3, 20)
    stop()


@pytest.mark.parametrize("time_", ["once", "again"])
def test_a_method_whose_name_is_no_text_ends_calls_but_not_the_server(lab, time_):
    """grpc.aio stops listening then: the calls that ran are lost, and later ones are answered."""
    running, canary, _ = lab
    with grpc.insecure_channel(running.target) as channel:
        health = channel.unary_stream(
            "/grpc.health.v1.Health/Watch", response_deserializer=health_pb2.HealthCheckResponse.FromString
        )
        watch = health(b"")
        next(watch)
        unreadable_method(running.target)
        with pytest.raises(grpc.RpcError) as caught:
            next(watch)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert canary.seconds_until_answered(20) < 5
