import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from support.server import start
from wsisam_server.app import App, StartError, is_loopback
from wsisam_server.config import Settings


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
        "wsisam.v1.Segmentation",
    }


def test_a_port_that_is_taken_is_said_so(server, model):
    port = int(server.target.rsplit(":", 1)[1])
    app = App(Settings(port=port), lambda: model)

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


def test_stopping_ends_open_streams_and_frees_the_port(model, tmp_path):
    running, stop = start(model, tmp_path)
    stop()
    with grpc.insecure_channel(running.target) as channel, pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
