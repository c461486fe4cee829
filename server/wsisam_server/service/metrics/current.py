"""What is read when somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from wsisam_server.service.metrics.labels import method_label, user_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import Metric

    from wsisam_server.inference.scheduler import ModelDevice, Models
    from wsisam_server.segmentation.segmenter import PrefetchCounts
    from wsisam_server.service.interceptors import Access
    from wsisam_server.slides import OpenSlides


class Current(Collector):
    """How much the server holds and does now. Read from the endpoint's threads.

    Args:
        models: the loaded models, and their device with its queue and cache.
        slides: the open slides.
        prefetched: says how many fields were encoded ahead.
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
        yield _gauge("wsisam_queue_depth", "Slide reads and steps of a model that wait.", ["priority"], waiting)
        running = (
            ((method_label(method), user_label(user)), n) for (method, user), n in self._access.running().items()
        )
        yield _gauge("wsisam_calls_running", "Calls and streams that are open.", ["method", "user"], running)
        yield from _cache(device)
        yield from _on_disk(device)
        yield from _prefetch(self._prefetched())
        loaded = (((name,), nbytes) for name, nbytes in self._models.loaded().items())
        yield _gauge("wsisam_model_bytes", "Weights of each loaded model.", ["model"], loaded)
        held = self._slides.held()
        slides = (((source,), one.slides) for source, one in held.items())
        yield _gauge("wsisam_open_slides", "Slides that are open.", ["source"], slides)
        nbytes = (((source,), one.nbytes) for source, one in held.items())
        yield _gauge("wsisam_open_slide_bytes", "Pixels that open slides hold.", ["source"], nbytes)


def _cache(device: ModelDevice) -> Iterator[Metric]:
    cache = device.cache
    lookups = CounterMetricFamily("wsisam_embedding_cache_lookups", "Embeddings asked for.", labels=["result"])
    counters = cache.counters
    for result, count in (("hit", counters.hits), ("joined", counters.joined), ("miss", counters.computed)):
        lookups.add_metric([result], count)
    yield lookups
    yield CounterMetricFamily("wsisam_embedding_cache_evictions", "Embeddings let go.", value=counters.evicted)
    yield GaugeMetricFamily("wsisam_embedding_cache_bytes", "Embeddings that are kept.", value=cache.nbytes)
    yield GaugeMetricFamily("wsisam_embedding_cache_limit_bytes", "The cache's limit.", value=cache.limit)


def _on_disk(device: ModelDevice) -> Iterator[Metric]:
    store, write_behind = device.store, device.write_behind
    if store is None or write_behind is None:
        return
    lookups = CounterMetricFamily("wsisam_embedding_store_lookups", "Embeddings sought on the disk.", labels=["result"])
    counters = store.counters
    for result, count in (("hit", counters.hits), ("miss", counters.misses), ("damaged", counters.damaged)):
        lookups.add_metric([result], count)
    yield lookups
    writes = CounterMetricFamily("wsisam_embedding_store_writes", "Embeddings for the disk.", labels=["result"])
    for result, count in (
        ("written", counters.written),
        ("failed", write_behind.failed),
        ("left_out", write_behind.left_out),
    ):
        writes.add_metric([result], count)
    yield writes
    about = "Embeddings removed from the disk to make room."
    yield CounterMetricFamily("wsisam_embedding_store_evictions", about, value=counters.evicted)
    yield GaugeMetricFamily("wsisam_embedding_store_bytes", "Embeddings on the disk.", value=store.nbytes)
    yield GaugeMetricFamily("wsisam_embedding_store_limit_bytes", "The disk store's limit.", value=store.limit)


def _prefetch(prefetched: PrefetchCounts) -> Iterator[Metric]:
    about = "Fields that were encoded before anybody asked."
    yield CounterMetricFamily("wsisam_prefetched_fields", about, value=prefetched.encoded)
    about = "Of them those in which a first prompt then fell; the rest was waste, so far."
    yield CounterMetricFamily("wsisam_prefetched_fields_used", about, value=prefetched.used)


def _gauge(name: str, about: str, labels: list[str], values: Iterable[tuple[tuple[str, ...], int]]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=labels)
    for key, value in values:
        family.add_metric(list(key), value)
    return family
