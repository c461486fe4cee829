"""Calls, prompts and their stages as spans."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

import wsisam_server
from wsisam_server.segmentation.segmenter import failure_reason
from wsisam_server.service.interceptors import current_request_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.requests import Request

_NS: Final = 10**9
_NS_OF_MS: Final = 10**6
_FAULTS: Final = ("INTERNAL", "UNAVAILABLE", "DATA_LOSS")
"""Statuses that are the server's fault, by OpenTelemetry's rules for gRPC servers; the others are the caller's."""


class Spans:
    """Makes spans: a `CallListener`, and the segmenter's `PromptListener`. They are sent from a thread of its own."""

    def __init__(self) -> None:
        own = Resource({SERVICE_NAME: "wsisam", SERVICE_VERSION: wsisam_server.__version__})
        # Not Resource.create: it would add the process's command line, and so the slides' folders.
        self._provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("wsisam", wsisam_server.__version__)

    def call_begun(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """See `CallListener.call_begun`. What the call's task starts belongs to its span from now on."""
        carrier = {key: value for key, value in metadata if isinstance(value, str)}
        service, _, name = method.strip("/").partition("/")
        about = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name, "request_id": current_request_id()}
        caller = propagate.extract(carrier)
        span = self._tracer.start_span(method.strip("/"), caller, SpanKind.SERVER, about)
        context.attach(trace.set_span_in_context(span))

    def call_ended(self, method: str, status: str) -> None:  # noqa: ARG002 - the span knows it
        """See `CallListener.call_ended`."""
        span = trace.get_current_span()
        span.set_attribute("status", status)
        if status in _FAULTS:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def answered(self, request: Request, outcome: Outcome, seconds: float) -> None:
        """See `PromptListener.answered`. The stages follow one another; waiting is in the first, `queue`."""
        end = time.time_ns()
        begin = end - round(seconds * _NS)
        prompt = self._prompt(request, begin)
        prompt.set_attributes({"model": outcome.model.name, "encoder_runs": outcome.times.encoder_runs})
        within, at, times = trace.set_span_in_context(prompt), begin, outcome.times
        stages = {"queue": times.queue, "read": times.read, "encode": times.encode, "decode": times.decode}
        for name, milliseconds in (stages | {"polygon": outcome.polygon_ms}).items():
            if milliseconds:
                stage = self._tracer.start_span(name, within, start_time=at)
                at += round(milliseconds * _NS_OF_MS)
                stage.end(at)
        prompt.end(end)

    def failed(self, request: Request, error: BaseException) -> None:
        """See `PromptListener.failed`."""
        span = self._prompt(request, time.time_ns())
        reason = failure_reason(error)
        span.set_attribute("reason", "CANCELLED" if reason is None else reason.name)
        if reason is not None and reason.value.code.name in _FAULTS:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def close(self) -> None:
        """Sends what is left. Blocks."""
        self._provider.shutdown()

    def _prompt(self, request: Request, begin: int) -> trace.Span:
        about = {"kind": "interactive" if request.interactive else "batch", "request_id": current_request_id()}
        return self._tracer.start_span("prompt", start_time=begin, attributes=about)
