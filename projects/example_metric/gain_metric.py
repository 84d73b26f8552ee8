"""Discounted gain of the positive's rank: a custom metric over rankings."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from mvlt.registry import METRICS


def discounted_gain(ranks: Sequence[int]) -> float:
    """Mean of 1 / log2(1 + rank): 1 if every positive ranks first."""
    return float(np.mean(1 / np.log2(1 + np.asarray(ranks))))


@METRICS.register_module()
class GainMetric(BaseMetric):
    """``gain/tir`` and ``gain/itr``, 0 to 1."""

    default_prefix = 'gain'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Each sample has ``direction`` and ``rank``."""
        self.results += [(sample['direction'], int(sample['rank'])) for sample in data_samples]

    def compute_metrics(self, results: list[tuple[str, int]]) -> dict[str, float]:
        """Mean gain of each direction."""
        directions = sorted({direction for direction, _ in results})
        return {
            direction: discounted_gain([rank for name, rank in results if name == direction])
            for direction in directions
        }
