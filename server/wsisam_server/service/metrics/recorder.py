"""Metrics that are counted as events happen, and how methods and users are written in labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from wsisam_server.segmentation.segmenter import failure_reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.requests import Request

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds: from a warm decode on a GPU to a cold encode of the largest model on two cores."""


class Recorder:
    """Counts prompts and calls: the segmenter's `PromptListener`, and a `CallListener`.

    Args:
        registry: where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._stages = Histogram(
            "wsisam_stage_seconds", "A prompt's stages.", ["stage"], buckets=BUCKETS, registry=registry
        )
        self._prompts = Histogram(
            "wsisam_prompt_seconds",
            "From a prompt's arrival to its outline.",
            ["kind", "state"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._ended = Counter("wsisam_prompts", "Prompts that ended.", ["user", "kind", "result"], registry=registry)
        self._calls = Counter("wsisam_calls", "Calls that ended.", ["method", "status"], registry=registry)

    def answered(self, request: Request, outcome: Outcome, seconds: float) -> None:
        """See `PromptListener.answered`."""
        times = outcome.times
        stages = {"queue": times.queue, "decode": times.decode, "polygon": outcome.polygon_ms}
        if times.encode:
            # Only of prompts that ran the encoder: zeros of warm ones would hide what it takes.
            stages |= {"read": times.read, "encode": times.encode}
        for stage, milliseconds in stages.items():
            self._stages.labels(stage).observe(milliseconds / 1000)
        self._prompts.labels(_kind(request), "cold" if times.encoder_runs else "warm").observe(seconds)
        self._count(request, "OK")

    def failed(self, request: Request, error: BaseException) -> None:
        """See `PromptListener.failed`."""
        reason = failure_reason(error)
        self._count(request, "CANCELLED" if reason is None else reason.name)

    def call_begun(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """See `CallListener.call_begun`. Running calls are counted by `ServerCollector`."""

    def call_ended(self, method: str, status: str) -> None:
        """See `CallListener.call_ended`."""
        self._calls.labels(method_label(method), status).inc()

    def _count(self, request: Request, result: str) -> None:
        self._ended.labels(user_label(request.principal), _kind(request), result).inc()


def _kind(request: Request) -> str:
    return "interactive" if request.interactive else "batch"


def method_label(method: str) -> str:
    """Service and method: "Segmentation/Interact" for "/wsisam.v1.Segmentation/Interact"."""
    return method.rsplit(".", 1)[-1]


def user_label(name: str) -> str:
    """A token's user; "-" for callers without a token, as in the log."""
    return name or "-"
