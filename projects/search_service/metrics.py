"""What the service tells Prometheus."""

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

import mvlt
from projects.search_service.batching import BatchedSearch
from projects.search_service.pools import Pools

# first part of a path
_ROUTES = ('search', 'similar', 'images', 'products', 'healthz', 'metrics', 'docs', 'openapi.json')


class Metrics:
    """Prometheus metrics of one service.

    Args:
        search: whose index and model are described.
        pools: whose work is counted.
    """

    def __init__(self, search: BatchedSearch, pools: Pools) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            'mvlt_requests', 'Requests', ['path', 'status'], registry=self.registry
        )
        self.seconds = Histogram(
            'mvlt_request_seconds', 'Duration of a request', ['path'], registry=self.registry
        )
        self.empty = Counter(
            'mvlt_empty_answers', 'Searches that found nothing', registry=self.registry
        )
        self._gauge('mvlt_index_images', 'Images in the index', search.count)
        self._gauge('mvlt_index_changed', 'Time of the last change, Unix', search.index.changed)
        self._gauge('mvlt_model_queue', 'Requests that wait for the model', search.waiting)
        for pool in vars(pools).values():
            busy = partial(getattr, pool, 'busy')
            self._gauge(f'mvlt_busy_{pool.name}', f'Work that runs or waits: {pool.name}', busy)
        info = Gauge('mvlt_info', 'Model and version', ['model', 'version'], registry=self.registry)
        info.labels(search.fingerprint[:12], mvlt.__version__).set(1)

    def _gauge(self, name: str, about: str, value: Callable[[], float]) -> None:
        """Add a value that is read with every request of the metrics."""
        Gauge(name, about, registry=self.registry).set_function(value)

    def count(self, path: str, status: int, seconds: float) -> None:
        """Count a request; unknown paths share a label, or visitors could add any number."""
        path = path if path in _ROUTES else 'other'
        self.requests.labels(path, status).inc()
        self.seconds.labels(path).observe(seconds)
