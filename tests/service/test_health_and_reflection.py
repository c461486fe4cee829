import asyncio
import socket
import threading

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from support.server import start, write_picture
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.cli.app import App, StartError
from wsisam_server.client import Client, ServerError
from wsisam_server.core.settings import Settings
from wsisam_server.core.tls import is_loopback


@pytest.mark.parametrize("service", ["", "wsisam.v1.Segmentation"])
def test_health(server, service):
    with grpc.insecure_channel(server.target) as channel:
        reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_names_the_service(server):
    with grpc.insecure_channel(server.target) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        (reply,) = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    assert {service.name for service in reply.list_services_response.service} == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "wsisam.v1.Annotations",
        "wsisam.v1.Segmentation",
    }


def test_a_port_that_is_taken_is_said_so(server, model):
    port = int(server.target.rsplit(":", 1)[1])
    app = App(Settings(port=port, store="none"), lambda: model)

    async def run():
        try:
            await app.start()
        finally:
            await app.stop()

    with pytest.raises(StartError, match="--port"):
        asyncio.run(run())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org", ""])
def test_other_addresses_need_to_be_asked_for(host, model):
    with pytest.raises(StartError, match="--insecure"):
        App(Settings(host=host), lambda: model)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback(host):
    assert is_loopback(host)


def test_a_stream_that_is_open_when_the_server_stops_is_told(model, tmp_path):
    write_picture(tmp_path / "discs.png")
    running, stop = start(model, tmp_path)
    with Client(running.target) as client:
        slide = client.open_slide("discs.png")
        gone = threading.Event()

        def requests():
            gone.wait(30)
            yield from ()

        replies = client.interact(pb.Start(slide_id=slide.slide_id), requests())
        assert next(replies).WhichOneof("message") == "started"
        stopping = threading.Thread(target=stop)
        stopping.start()
        with pytest.raises(ServerError) as caught:
            list(replies)
        gone.set()
        stopping.join()
    assert (caught.value.status, caught.value.reason) == ("UNAVAILABLE", "SHUTTING_DOWN")


def test_while_the_model_loads_the_port_answers_that_it_does(model):
    loading, loaded = threading.Event(), threading.Event()

    def load():
        loading.set()
        loaded.wait(30)
        return model

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = App(Settings(port=port, store="none"), load)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    started = asyncio.run_coroutine_threadsafe(app.start(), loop)
    loading.wait(30)
    with Client(f"127.0.0.1:{port}") as client, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(ServerError) as caught:
            client.models()
        assert (caught.value.status, caught.value.reason) == ("UNAVAILABLE", "STARTING")
        reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert reply.status == health_pb2.HealthCheckResponse.NOT_SERVING
        loaded.set()
        started.result(60)
        assert client.models()
    asyncio.run_coroutine_threadsafe(app.stop(0.2), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_stopping_ends_open_streams_and_frees_the_port(model, tmp_path):
    running, stop = start(model, tmp_path)
    stop()
    with grpc.insecure_channel(running.target) as channel, pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
