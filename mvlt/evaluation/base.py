"""The base of all metrics."""

from mmengine.evaluator import BaseMetric


class Metric(BaseMetric):
    """mmengine's BaseMetric, gathered without a shared disk."""

    def __init__(self, collect_device: str = 'gpu', prefix: str | None = None) -> None:
        super().__init__(collect_device, prefix)
