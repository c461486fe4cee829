"""Scrapes of the metrics page, and what a server did between two of them."""

from __future__ import annotations

import http.client
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Mapping

Labels: TypeAlias = "frozenset[tuple[str, str]]"

SECONDS: Final = 5.0
"""Timeout of a scrape; a page is made in milliseconds."""

_OURS: Final = "wsisam_queue_depth"


class ScrapeError(Exception):
    """There is no metrics page of a wsisam server; the text says what is there instead, and what to do."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """One scraped page.

    Attributes:
        samples: values by the sample's name and its labels.
        taken: when, in monotonic seconds.
    """

    samples: Mapping[str, Mapping[Labels, float]]
    taken: float = field(default_factory=time.monotonic)

    def value(self, name: str, **labels: str) -> float:
        """The sum over all samples with these labels; 0 without any."""
        return sum(self._matching(name, labels).values())

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """The sums by one more label."""
        sums: defaultdict[str, float] = defaultdict(float)
        for found, value in self._matching(name, labels).items():
            sums[dict(found)[label]] += value
        return dict(sums)

    @property
    def started(self) -> float | None:
        """When the server's process began, in seconds since 1970; None where the system does not say."""
        return self.value("process_start_time_seconds") or None

    def _matching(self, name: str, labels: Mapping[str, str]) -> dict[Labels, float]:
        return {key: value for key, value in self.samples.get(name, {}).items() if labels.items() <= set(key)}


@dataclass(frozen=True, slots=True)
class Interval:
    """What happened between two scrapes.

    Attributes:
        begin: the earlier one; None for the server's start.
        end: the later one.
    """

    begin: Scrape | None
    end: Scrape

    @property
    def seconds(self) -> float | None:
        """How long it was; None since the start of a server of which that is not known."""
        if self.begin is not None:
            return self.end.taken - self.begin.taken
        return None if self.end.started is None else time.time() - self.end.started

    def count(self, name: str, **labels: str) -> float:
        """How far a counter went."""
        return self.end.value(name, **labels) - (0 if self.begin is None else self.begin.value(name, **labels))

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """How far counters went, by one more label."""
        before = {} if self.begin is None else self.begin.by(name, label, **labels)
        return {key: value - before.get(key, 0) for key, value in self.end.by(name, label, **labels).items()}

    def quantile(self, name: str, share: float, **labels: str) -> float | None:
        """What a share of a histogram's values did not pass, read off its buckets as Prometheus does.

        Returns:
            Infinity when it lies beyond the last bucket; None without any value.
        """
        bounds = sorted((float(le), n) for le, n in self.by(f"{name}_bucket", "le", **labels).items())
        if not bounds or bounds[-1][1] <= 0:
            return None
        wanted = share * bounds[-1][1]
        for (low, below), (high, within) in pairwise([(0.0, 0.0), *bounds]):
            if within >= wanted and within > below:
                return high if high == float("inf") else low + (high - low) * (wanted - below) / (within - below)
        return float("inf")


def read(host: str, port: int) -> Scrape:
    """Reads a server's page. Blocks.

    Raises:
        ScrapeError: nothing answers there, or something else.
    """
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        status, text = answer.status, answer.read().decode()
    except (http.client.HTTPException, UnicodeDecodeError, ConnectionResetError) as error:
        raise ScrapeError(_another(place, "it does not speak HTTP")) from error
    except OSError as error:
        raise ScrapeError(
            f"nothing answers at {place} ({error.strerror or error}). Start the server with --metrics-port, or check "
            "the address; the port is on loopback only unless --metrics-host says otherwise"
        ) from error
    finally:
        connection.close()
    if status != http.client.OK:
        raise ScrapeError(_another(place, f"it answers {status}"))
    try:
        scrape = Scrape(_samples(text))
    except ValueError as error:
        raise ScrapeError(_another(place, "its page holds no numbers for Prometheus")) from error
    if _OURS not in scrape.samples:
        raise ScrapeError(_another(place, f"its page has no {_OURS}"))
    return scrape


def _samples(text: str) -> dict[str, dict[Labels, float]]:
    samples: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            samples.setdefault(one.name, {})[frozenset(one.labels.items())] = one.value
    return samples


def _another(place: str, why: str) -> str:
    return (
        f"what answers at {place} is no metrics port of a wsisam server: {why}. Give the port of "
        "wsisam serve --metrics-port"
    )
