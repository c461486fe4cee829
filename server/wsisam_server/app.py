"""App room: builds everything from the settings, starts it, stops it.

What flows in: settings. What flows out: a running server. It must never decide anything about a prompt.
"""

from __future__ import annotations

import ipaddress
import logging
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from wsisam.v1 import segmentation_pb2, segmentation_pb2_grpc
from wsisam_server.interceptors import BoundaryInterceptor
from wsisam_server.scheduler import LocalEngine
from wsisam_server.segmenter import Segmenter
from wsisam_server.service import SegmentationServicer, status_details
from wsisam_server.slides import OpenSlides, SlideAccess

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_model import WsiSam
    from wsisam_server.config import Settings

SEGMENTATION = segmentation_pb2.DESCRIPTOR.services_by_name["Segmentation"].full_name

_log = logging.getLogger(__name__)


class StartError(Exception):
    """The server cannot start with these settings; the text says what to change."""


def build_segmenter(settings: Settings, model: WsiSam) -> Segmenter:
    """Everything below the service, for the server and for use in one process."""
    access = SlideAccess(settings.slide_roots, settings.path_mappings)
    engine = LocalEngine(model, settings.limits.embedding_cache_bytes)
    return Segmenter(OpenSlides(access, settings.limits), {model.name: engine}, settings.limits)


class App:
    """The server.

    Args:
        settings: where to listen, what to serve.
        load_model: loads the model; called by `start`, so that the port answers (NOT_SERVING) in the meantime.

    Raises:
        StartError: the address is not loopback and `insecure` is not set.
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
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self.segmenter: Segmenter | None = None

    async def start(self) -> int:
        """Loads and warms the model, then serves. Returns the port.

        Raises:
            StartError: the port is taken.
            wsisam_model.WsiSamError: the model cannot be loaded.
        """
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self.segmenter = build_segmenter(self._settings, self._load_model())
        for engine in self.segmenter.engines.values():
            await engine.warm_up()
        limit = self._settings.limits.message_bytes
        self._server = grpc.aio.server(
            interceptors=(BoundaryInterceptor("/wsisam.", status_details),),
            options=(
                ("grpc.max_receive_message_length", limit),
                ("grpc.max_send_message_length", limit),
                # Two servers on one port would each get half of the prompts.
                ("grpc.so_reuseport", 0),
            ),
        )
        segmentation_pb2_grpc.add_SegmentationServicer_to_server(
            SegmentationServicer(self.segmenter, self._settings), self._server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((SEGMENTATION, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        address = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        try:
            port: int = self._server.add_insecure_port(f"{address}:{self._settings.port}")
        except RuntimeError as error:
            raise StartError(
                f"cannot listen on {address}:{self._settings.port}: is another server running there? "
                "Choose another --port (0 for any free one)."
            ) from error
        await self._server.start()
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)
        return port

    async def stop(self, grace: float = 5.0) -> None:
        """Takes no new calls, gives running ones `grace` seconds, then closes everything."""
        await self._health.enter_graceful_shutdown()
        if self._server is not None:
            await self._server.stop(grace)
        if self.segmenter is not None:
            await self.segmenter.close()

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
