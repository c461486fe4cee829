"""App room: builds everything from the settings, starts it, stops it.

What flows in: settings. What flows out: a running server. It must never decide anything about a prompt.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from wsisam.v1 import segmentation_pb2, segmentation_pb2_grpc
from wsisam_model import available_models
from wsisam_server.errors import Reason
from wsisam_server.interceptors import BoundaryInterceptor, Gate
from wsisam_server.scheduler import LocalEngine
from wsisam_server.segmenter import Segmenter
from wsisam_server.service import SegmentationServicer, status_details
from wsisam_server.slides import OpenSlides, SlideAccess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wsisam_model import WsiSam
    from wsisam_server.config import Settings
    from wsisam_server.scheduler import Engine

SEGMENTATION = segmentation_pb2.DESCRIPTOR.services_by_name["Segmentation"].full_name


class StartError(Exception):
    """The server cannot start with these settings; the text says what to change."""


KEEPALIVE_SECONDS = 60
"""How often the server looks whether a silent client is still there, and how often clients may look."""


def build_segmenter(settings: Settings, engines: Mapping[str, Engine]) -> Segmenter:
    """Everything below the service, for the server and for use in one process.

    Raises:
        StartError: a root or a path mapping makes no sense.
    """
    if settings.path_mappings and not settings.slide_roots:
        raise StartError("a path mapping leads to files below the slide folders, and there is none: give --slides too")
    try:
        access = SlideAccess(settings.slide_roots, settings.path_mappings)
    except ValueError as error:
        raise StartError(str(error)) from error
    known = [model.name for model in available_models()]
    return Segmenter(OpenSlides(access, settings.limits), engines, settings.limits, known)


async def build_engine(settings: Settings, load_model: Callable[[], WsiSam]) -> Engine:
    """The engine that the settings ask for.

    Raises:
        Exception: whatever `load_model` raises.
    """
    return await LocalEngine.load(load_model, settings.limits.embedding_cache_bytes)


class App:
    """The server.

    Args:
        settings: where to listen, what to serve.
        load_model: loads the model; called by `start` on a thread, while the port already answers NOT_SERVING.

    Raises:
        StartError: the address is not loopback and `insecure` is not set, or a path mapping makes no sense.
    """

    def __init__(self, settings: Settings, load_model: Callable[[], WsiSam]) -> None:
        if not settings.insecure and not is_loopback(settings.host):
            raise StartError(
                f"refusing to listen on {settings.host}: anyone who reaches this address could read every slide below "
                "the roots, and there is no encryption yet. Listen on 127.0.0.1, or pass --insecure if the network "
                "itself is trusted."
            )
        self._settings = settings
        self._load_model = load_model
        self._engines: dict[str, Engine] = {}
        self.segmenter = build_segmenter(settings, self._engines)
        self._servicer = SegmentationServicer(self.segmenter, settings)
        self._gate = Gate()
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None

    async def start(self) -> int:
        """Binds the port, loads and warms the model, then serves. Returns the port.

        Raises:
            StartError: the port is taken.
            Exception: whatever `load_model` raises.
        """
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self._server = self._build_server()
        port = self._bind(self._server)
        await self._server.start()
        engine = await build_engine(self._settings, self._load_model)
        self._engines[engine.info.name] = engine
        await engine.warm_up()
        self._gate.open()
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)
        return port

    async def stop(self, grace: float = 5.0) -> None:
        """Takes no new calls, ends the streams, gives other running calls `grace` seconds, then closes everything."""
        self._gate.close(Reason.SHUTTING_DOWN)
        await self._health.enter_graceful_shutdown()
        self._servicer.end_streams()
        if self._server is not None:
            await self._server.stop(grace)
        await self.segmenter.close()

    def _build_server(self) -> grpc.aio.Server:
        limit = self._settings.limits.message_bytes
        server = grpc.aio.server(
            interceptors=(BoundaryInterceptor("/wsisam.", self._gate, status_details),),
            options=(
                ("grpc.max_receive_message_length", limit),
                ("grpc.max_send_message_length", limit),
                # Two servers on one port would each get half of the prompts.
                ("grpc.so_reuseport", 0),
                # A laptop that goes to sleep must not keep its stream, nor a client that asks more often than gRPC's
                # default of five minutes be thrown out.
                ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", KEEPALIVE_SECONDS * 1000),
                ("grpc.keepalive_permit_without_calls", 1),
            ),
        )
        segmentation_pb2_grpc.add_SegmentationServicer_to_server(self._servicer, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((SEGMENTATION, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        return server

    def _bind(self, server: grpc.aio.Server) -> int:
        host = self._settings.host
        address = f"[{host}]:{self._settings.port}" if ":" in host else f"{host}:{self._settings.port}"
        try:
            port: int = server.add_insecure_port(address)
        except RuntimeError as error:
            raise StartError(
                f"cannot listen on {address}: is another server running there? "
                "Choose another --port (0 for any free one)."
            ) from error
        return port

    async def _set_health(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        for service in ("", SEGMENTATION):
            await self._health.set(service, status)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
