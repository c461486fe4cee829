"""Composes the server: builds everything from the settings, starts it, stops it.

In: settings. Out: a running server. It must never decide anything about a prompt.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from wsisam.v1 import annotations_pb2, annotations_pb2_grpc, segmentation_pb2, segmentation_pb2_grpc
from wsisam_model import available_models
from wsisam_server.annotations.store import AsyncStore, StoreError
from wsisam_server.cli.ports import why_not
from wsisam_server.client.address import ServerAddress
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import MIB, NONE
from wsisam_server.core.tls import ServerTls, TlsError, is_loopback
from wsisam_server.inference.embeddings import EmbeddingStore
from wsisam_server.inference.scheduler import Device, ModelPool
from wsisam_server.segmentation.segmenter import PromptListeners, Segmenter
from wsisam_server.service.identity import Keyring, RateLimiter
from wsisam_server.service.interceptors import Access, BoundaryInterceptor, ReadinessGate
from wsisam_server.service.metrics.collector import ServerCollector
from wsisam_server.service.metrics.endpoint import Endpoint
from wsisam_server.service.metrics.recorder import Recorder
from wsisam_server.service.servicers import AnnotationsServicer, SegmentationServicer
from wsisam_server.service.sessions import Admission, CommitService
from wsisam_server.service.tracing import spans
from wsisam_server.slides import OpenSlides, SlideAccess

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_model import WsiSam
    from wsisam_server.core.settings import Settings, Tls
    from wsisam_server.inference.scheduler import Models, ModelSource
    from wsisam_server.segmentation.segmenter import PromptListener

SEGMENTATION = segmentation_pb2.DESCRIPTOR.services_by_name["Segmentation"].full_name
ANNOTATIONS = annotations_pb2.DESCRIPTOR.services_by_name["Annotations"].full_name


_log = logging.getLogger(__name__)


class StartError(Exception):
    """The server cannot start with these settings; the text says what to change."""


OURS = "/wsisam."
"""What the names of our own methods begin with."""

SHUTDOWN_SECONDS = 1.0
"""How long what was said last may take to reach a client."""

KEEPALIVE_SECONDS = 60
"""Keepalive: how often the server pings a silent client, and how often clients may ping."""

BURST_SECONDS = 8
"""Of what a user's messages may have in a second, so much may come at once after a silence."""

POLL_SECONDS = 0.2
"""How often the server checks that gRPC still listens, and reopens the port if it does not."""


def build_segmenter(
    settings: Settings,
    source: ModelSource | None = None,
    access: SlideAccess | None = None,
    prompt_listener: PromptListener | None = None,
    models: Models | None = None,
) -> Segmenter:
    """Everything below the service, for the server and for use in one process. Its models are not started yet.

    Args:
        settings: limits and slide folders.
        source: where models beside the default one come from.
        access: what may be opened; what the settings say if not given.
        prompt_listener: hears of every prompt that ended.
        models: what runs the models, in place of this machine's device and `source`.

    Raises:
        StartError: a root is no folder, or a path mapping makes no sense; a file lies where embeddings should.
    """
    slides, models = open_parts(settings, source, access, models)
    return Segmenter(slides, models, settings.limits, prompt_listener)


def open_parts(
    settings: Settings,
    source: ModelSource | None = None,
    access: SlideAccess | None = None,
    models: Models | None = None,
) -> tuple[OpenSlides, Models]:
    """What a segmenter is composed of; see `build_segmenter`.

    Raises:
        StartError: see `build_segmenter`.
    """
    if settings.map and not settings.slides:
        raise StartError("a path mapping leads to files below the slide folders, and there is none: give --slides too")
    limits, place = settings.limits, settings.embedding_store
    try:
        access = access or SlideAccess(settings.slides, settings.map, limits.file_system_seconds)
    except ValueError as error:
        raise StartError(str(error)) from error
    if access.missing:
        raise StartError(f"there is no folder of slides {', '.join(map(str, access.missing))}")
    store = None if place is None else EmbeddingStore(place, limits.embedding_store_bytes)
    if models is None and store is not None and store.is_in_the_way:
        raise StartError(f"{place} is a file; embeddings need a folder: --embedding-store FOLDER")
    models = models or ModelPool(
        Device(limits.embedding_cache_bytes, settings.model.threads, store),
        limits.model_bytes,
        source,
        known=[model.name for model in available_models()],
        room_seconds=limits.model_room_seconds,
    )
    return OpenSlides(access, limits), models


class App:
    """The server.

    Args:
        settings: where to listen, what to serve.
        load_model: loads the default model; called by `start` on a thread, while the port already answers NOT_SERVING,
            and again when the model is asked for after it had to make room for others.
        source: where models beside the default one come from.
        models: what runs the models, in place of this machine's device and `source`.

    Raises:
        StartError: the address is not loopback, and neither is there TLS nor is `insecure` set; the TLS files do not
            fit; or a path mapping makes no sense.
    """

    def __init__(
        self,
        settings: Settings,
        load_model: Callable[[], WsiSam],
        source: ModelSource | None = None,
        models: Models | None = None,
    ) -> None:
        strangers = not is_loopback(settings.host)
        if strangers and settings.tls is None and not settings.insecure:
            raise StartError(
                f"refusing to listen on {settings.host}: whoever is between it and a client could read slides and "
                "tokens. Give --tls-cert and --tls-key, listen on 127.0.0.1, or pass --insecure if the network itself "
                "is trusted: everybody who reaches the address may then do everything."
            )
        self._settings = settings
        self._tls = _tls(settings.tls)
        self._credentials = None if self._tls is None else self._tls.credentials()
        keyring = None if settings.tokens is None else Keyring(settings.tokens)
        required = settings.require_tokens or (strangers and not settings.insecure)
        self.requires_tokens = required
        limits = settings.limits
        rate_limiter = RateLimiter(limits.messages_per_second_per_user, limits.message_burst_per_user)
        mib_per_second = limits.message_bytes_per_second_per_user / MIB
        byte_limiter = RateLimiter(mib_per_second, BURST_SECONDS * mib_per_second)
        self._access = Access(
            keyring,
            required=required,
            streams=limits.streams_per_user,
            rate_limiter=rate_limiter,
            byte_limiter=byte_limiter,
        )
        self._admission = Admission(rate_limiter, limits)
        self._watching: asyncio.Task[None] | None = None
        self._load_model = load_model
        self._metrics = CollectorRegistry()
        self._recorder = Recorder(self._metrics)
        self._spans = spans()
        self._listeners = (self._recorder,) if self._spans is None else (self._recorder, self._spans)
        self._endpoint: Endpoint | None = None
        self.slides, self.models = open_parts(settings, source, models=models)
        self.segmenter = Segmenter(self.slides, self.models, limits, PromptListeners(*self._listeners))
        self._store: AsyncStore | None = None
        self._servicers: tuple[SegmentationServicer, AnnotationsServicer] | None = None
        self._readiness_gate = ReadinessGate()
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._listening: asyncio.Task[None] | None = None

    @property
    def metrics_port(self) -> int | None:
        """Where the numbers for Prometheus are; None where there are none, and before `start`."""
        return None if self._endpoint is None else self._endpoint.port

    async def start(self) -> int:
        """Opens the store, binds the port, loads and warms the model, then serves. Returns the port.

        Raises:
            StartError: the store cannot be used as it is, a port is taken, or the model is larger than models may be.
            Exception: whatever `load_model` raises.
        """
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self._store = await self._open_store()
        self._servicers = (
            SegmentationServicer(
                self.segmenter, CommitService(self.segmenter, self._store), self._admission, self._settings.limits
            ),
            AnnotationsServicer(self._store, self._settings.limits),
        )
        self._server = self._build_server(*self._servicers)
        port = self._bind(self._server, self._settings.port)
        await self._server.start()
        self._listening = asyncio.ensure_future(self._listen_on(port))
        await asyncio.to_thread(self._open_metrics)
        try:
            await self.segmenter.start(self._load_model)
        except WsiSamServerError as error:
            raise StartError(error.public_text) from error
        self._watching = asyncio.ensure_future(self._access.watch())
        self._readiness_gate.open()
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)
        return port

    async def stop(self, grace: float | None = None) -> None:
        """Takes nothing new, lets what it has taken be answered, hands back what is left, and closes everything.

        Args:
            grace: seconds for the answers; what the limits say if not given.
        """
        self._readiness_gate.close(Reason.SHUTTING_DOWN)
        await self._health.enter_graceful_shutdown()
        if self._server is not None:
            await self._drain(self._settings.limits.drain_seconds if grace is None else grace)
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        if self._server is not None:
            await self._server.stop(SHUTDOWN_SECONDS)
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._endpoint is not None:
            await asyncio.to_thread(self._endpoint.close)
        if self._servicers is not None:
            await asyncio.gather(*(servicer.close() for servicer in self._servicers))
        await self.segmenter.close()
        if self._store is not None:
            await self._store.close()
        if self._spans is not None:
            await asyncio.to_thread(self._spans.close)

    async def _drain(self, grace: float) -> None:
        """Ends all calls. The port stays open meanwhile, so that new callers get the reason and a retry delay."""
        if self._servicers is not None:
            _, annotations = self._servicers
            annotations.end_streams()
        self._admission.drain()
        if await self._all_left(grace):
            return
        self._admission.hand_back()
        if not await self._all_left(SHUTDOWN_SECONDS):
            # Batches, single calls, and clients that do not read.
            self._access.end_all(OURS, WsiSamServerError(Reason.SHUTTING_DOWN))
            await self._all_left(SHUTDOWN_SECONDS)

    async def _all_left(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._access.empty(OURS), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    async def _listen_on(self, port: int) -> None:
        """Opens the port again whenever gRPC has given it up, until it is cancelled.

        The loop that takes calls in grpc.aio ends with any error of its own, and the server with it. One is known that
        any stranger can cause, before they are asked for a token: a method's name that is not UTF-8. All calls that run
        are lost then, which clients know how to bear; without this, all later ones were, too.
        """
        while True:
            assert self._server is not None
            try:
                # Asked again and again: without a limit of time, it answers when the last call has ended by itself.
                while await self._server.wait_for_termination(POLL_SECONDS):
                    pass
            except Exception as error:  # noqa: BLE001 - whatever it was, nobody is listening
                _log.warning("gRPC stopped listening: %s. Calls that ran are lost; the port is opened again", error)
            await self._server.stop(None)
            await self._listen_again(port)

    async def _listen_again(self, port: int) -> None:
        assert self._servicers is not None
        while True:
            server = self._build_server(*self._servicers)
            try:
                self._bind(server, port)
                await server.start()
            except StartError as error:
                _log.error("%s", error)
                await asyncio.sleep(POLL_SECONDS)
            else:
                self._server = server
                return

    async def _open_store(self) -> AsyncStore | None:
        where, limits = self._settings.store, self._settings.limits
        if where == NONE:
            return None
        try:
            return await AsyncStore.opened(where, limits)
        except StoreError as error:
            raise StartError(f"no store: {error}") from error

    def _open_metrics(self) -> None:
        host, port = self._settings.metrics_host, self._settings.metrics_port
        if port is None:
            return
        self._metrics.register(ServerCollector(self.models, self.slides, self.segmenter.prefetched, self._access))
        ProcessCollector(registry=self._metrics)
        if self._tls is not None:
            about = "When the certificate that is shown ends, as Unix time."
            gauge = Gauge("wsisam_certificate_expiry_timestamp_seconds", about, registry=self._metrics)
            gauge.set_function(self._tls.expiry_seconds)
        try:
            self._endpoint = Endpoint(self._metrics, host, port)
        except OSError as error:
            why = why_not(host, port, "--metrics-port") or str(error)
            raise StartError(f"no metrics on {ServerAddress(host, port)}: {why}") from error

    def _build_server(self, segmentation: SegmentationServicer, annotations: AnnotationsServicer) -> grpc.aio.Server:
        limit = self._settings.limits.message_bytes
        server = grpc.aio.server(
            interceptors=(BoundaryInterceptor(OURS, self._readiness_gate, self._access, self._listeners),),
            options=(
                ("grpc.max_receive_message_length", limit),
                ("grpc.max_send_message_length", limit),
                # Two servers on one port would each get half of the prompts.
                ("grpc.so_reuseport", 0),
                # A laptop that goes to sleep must not keep its stream, nor a client that asks more often than gRPC's
                # default of five minutes be thrown out. Half of it: on a busy machine, two pings are received closer to
                # each other than they were sent, and a call that takes minutes would be lost by that.
                ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", KEEPALIVE_SECONDS * 500),
                ("grpc.keepalive_permit_without_calls", 1),
            ),
        )
        segmentation_pb2_grpc.add_SegmentationServicer_to_server(segmentation, server)
        annotations_pb2_grpc.add_AnnotationsServicer_to_server(annotations, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (SEGMENTATION, ANNOTATIONS, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        return server

    def _bind(self, server: grpc.aio.Server, wanted: int) -> int:
        host = self._settings.host
        address = ServerAddress(host, wanted).authority
        try:
            port: int
            if self._credentials is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise StartError(f"cannot listen on {address}: {why_not(host, wanted)}") from error
        return port

    async def _set_health(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        for service in ("", SEGMENTATION):
            await self._health.set(service, status)
        # Without a store the service answers every call with STORE_OFF.
        off = health_pb2.HealthCheckResponse.NOT_SERVING
        await self._health.set(ANNOTATIONS, off if self._store is None else status)


def _tls(tls: Tls | None) -> ServerTls | None:
    try:
        return None if tls is None else ServerTls(tls)
    except TlsError as error:
        raise StartError(str(error)) from error
