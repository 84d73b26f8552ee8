"""What every metric of this package shares."""

from mmengine.evaluator import BaseMetric


class Metric(BaseMetric):
    """mmengine's BaseMetric, collected by the device's own backend: no disk need be shared."""

    def __init__(self, collect_device: str = 'gpu', prefix: str | None = None) -> None:
        super().__init__(collect_device, prefix)
