"""Tracing room: calls and prompts as OpenTelemetry's spans, where its environment variables ask for them.

In: what the boundary and the segmenter report of each call and prompt. Out: spans, sent to
`OTEL_EXPORTER_OTLP_ENDPOINT`. They have methods, models, statuses and the request id; never a slide, a path or an
annotation. Without the variable nothing of OpenTelemetry is imported.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsisam_server.service.tracing.spans import Spans

__all__ = ["VARIABLES", "spans"]

VARIABLES: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Either enables spans and names their destination. OpenTelemetry reads these and its other variables itself."""

_log = logging.getLogger(__name__)


def spans(environment: Mapping[str, str] = os.environ) -> Spans | None:
    """The maker of spans, if they are enabled and OpenTelemetry is installed."""
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if off or not any(environment.get(name) for name in VARIABLES):
        return None
    try:
        from wsisam_server.service.tracing.spans import Spans  # noqa: PLC0415 - not without being asked for
    except ImportError as error:
        _log.warning('no traces, OpenTelemetry is not installed (%s): pip install ".[otel]"', error)
        return None
    return Spans()
