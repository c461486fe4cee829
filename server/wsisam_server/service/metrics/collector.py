"""Metrics that are read at each scrape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from wsisam_server.service.metrics.recorder import method_label, user_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import Metric

    from wsisam_server.inference.scheduler import ModelDevice, Models
    from wsisam_server.segmentation.segmenter import PrefetchCounts
    from wsisam_server.service.interceptors import Access
    from wsisam_server.slides import OpenSlides


class ServerCollector(Collector):
    """Collects what the server holds and does now. Called from the endpoint's threads.

    Args:
        models: the loaded models, and their device with its queue and cache.
        slides: the open slides.
        prefetched: counts of prefetched fields.
        access: the running calls.
    """

    def __init__(
        self, models: Models, slides: OpenSlides, prefetched: Callable[[], PrefetchCounts], access: Access
    ) -> None:
        self._models = models
        self._prefetched = prefetched
        self._slides = slides
        self._access = access

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client.registry.Collector."""
        device = self._models.device
        waiting = (((priority.name.lower(),), count) for priority, count in device.waiting().items())
        yield _gauge("wsisam_queue_depth", "Slide reads and model steps that wait, by priority.", ["priority"], waiting)
        running = (
            ((method_label(method), user_label(user)), n) for (method, user), n in self._access.running().items()
        )
        yield _gauge("wsisam_calls_running", "Open calls and streams.", ["method", "user"], running)
        yield from _cache(device)
        yield from _on_disk(device)
        yield from _prefetch(self._prefetched())
        loaded = (((name,), nbytes) for name, nbytes in self._models.loaded().items())
        yield _gauge("wsisam_model_bytes", "Bytes of each loaded model's weights.", ["model"], loaded)
        held = self._slides.held()
        slides = (((source,), one.slides) for source, one in held.items())
        yield _gauge("wsisam_open_slides", "Open slides.", ["source"], slides)
        nbytes = (((source,), one.nbytes) for source, one in held.items())
        yield _gauge("wsisam_open_slide_bytes", "Bytes of pixels that open slides hold.", ["source"], nbytes)


def _cache(device: ModelDevice) -> Iterator[Metric]:
    cache = device.cache
    lookups = CounterMetricFamily("wsisam_embedding_cache_lookups", "Embedding cache lookups.", labels=["result"])
    counters = cache.counters
    for result, count in (("hit", counters.hits), ("joined", counters.joined), ("miss", counters.computed)):
        lookups.add_metric([result], count)
    yield lookups
    yield CounterMetricFamily("wsisam_embedding_cache_evictions", "Embedding cache evictions.", value=counters.evicted)
    yield GaugeMetricFamily("wsisam_embedding_cache_bytes", "Bytes of cached embeddings.", value=cache.nbytes)
    yield GaugeMetricFamily("wsisam_embedding_cache_limit_bytes", "Limit of the embedding cache.", value=cache.limit)


def _on_disk(device: ModelDevice) -> Iterator[Metric]:
    store, write_behind = device.store, device.write_behind
    if store is None or write_behind is None:
        return
    lookups = CounterMetricFamily("wsisam_embedding_store_lookups", "Embedding store lookups.", labels=["result"])
    counters = store.counters
    for result, count in (("hit", counters.hits), ("miss", counters.misses), ("damaged", counters.damaged)):
        lookups.add_metric([result], count)
    yield lookups
    writes = CounterMetricFamily("wsisam_embedding_store_writes", "Writes to the embedding store.", labels=["result"])
    for result, count in (
        ("written", counters.written),
        ("failed", write_behind.failed),
        ("left_out", write_behind.left_out),
    ):
        writes.add_metric([result], count)
    yield writes
    about = "Embedding store evictions."
    yield CounterMetricFamily("wsisam_embedding_store_evictions", about, value=counters.evicted)
    yield GaugeMetricFamily("wsisam_embedding_store_bytes", "Bytes of the embedding store.", value=store.nbytes)
    yield GaugeMetricFamily("wsisam_embedding_store_limit_bytes", "Limit of the embedding store.", value=store.limit)


def _prefetch(prefetched: PrefetchCounts) -> Iterator[Metric]:
    about = "Prefetched fields."
    yield CounterMetricFamily("wsisam_prefetched_fields", about, value=prefetched.encoded)
    about = "Prefetched fields that a first prompt on an object then used."
    yield CounterMetricFamily("wsisam_prefetched_fields_used", about, value=prefetched.used)


def _gauge(name: str, about: str, labels: list[str], values: Iterable[tuple[tuple[str, ...], int]]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=labels)
    for key, value in values:
        family.add_metric(list(key), value)
    return family
