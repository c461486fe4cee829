"""Metrics room: numbers about the running server, for Prometheus.

What flows in: what other rooms report of each prompt and call, and, when somebody looks, their counters. What flows
out: a page of text on a port of its own, which is also read here, for `wsisam top`. It names users by their tokens,
methods, models and stages; it must never see a slide's path, an id or an annotation, nor be known to the rooms that it
looks at.
"""

from wsisam_server.service.metrics.current import Current
from wsisam_server.service.metrics.endpoint import Endpoint
from wsisam_server.service.metrics.reading import Reading, ReadingError, Spell, read
from wsisam_server.service.metrics.recorder import Recorder

__all__ = ["Current", "Endpoint", "Reading", "ReadingError", "Recorder", "Spell", "read"]
