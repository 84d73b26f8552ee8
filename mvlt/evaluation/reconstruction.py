"""PSNR and SSIM of rebuilt images (masked image generation, Task 4)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from mvlt.models.masking import mask_to_pixels
from mvlt.registry import METRICS


@METRICS.register_module()
class ReconstructionMetric(BaseMetric):
    """Mean PSNR (dB) and SSIM of the images; ``masked_psnr`` over hidden pixels only.

    Beside it stands what filling the hidden pixels with the mean of the visible ones reaches
    (``mean_fill_masked_psnr``): a model below it has learnt nothing.
    """

    default_prefix = 'reconstruction'

    def __init__(self, collect_device: str = 'gpu', prefix: str | None = None) -> None:
        super().__init__(collect_device, prefix)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Each sample: ``reconstruction`` (3, H, W) 0..1, ``pixels`` uint8, ``image_mask``."""
        for sample in data_samples:
            truth = sample['pixels'].float().cpu()[None] / 255
            image = sample['reconstruction'].float().cpu()[None]
            result = [
                float(peak_signal_noise_ratio(image, truth, data_range=1.0)),
                float(torch.as_tensor(structural_similarity_index_measure(image, truth))),
            ]
            hidden = sample.get('image_mask')
            if hidden is not None and hidden.any() and not hidden.all():
                where = mask_to_pixels(hidden.cpu()[None], truth.shape[2:]).expand_as(truth)
                colours = [truth[:, c][~where[:, c]].mean() for c in range(3)]
                filled = torch.stack(colours).view(1, 3, 1, 1).expand_as(truth)
                result += [
                    float(peak_signal_noise_ratio(guess[where], truth[where], data_range=1.0))
                    for guess in (image, filled)
                ]
            self.results.append(result)

    def compute_metrics(self, results: list[list[float]]) -> dict[str, float]:
        """Mean over images; the masked figures over those with both hidden and visible pixels."""
        names = ('psnr', 'ssim', 'masked_psnr', 'mean_fill_masked_psnr')
        metrics = {}
        for i, name in enumerate(names):
            values = [result[i] for result in results if len(result) > i]
            if values:
                metrics[name] = float(np.mean(values))
        metrics['images'] = float(len(results))
        return metrics
