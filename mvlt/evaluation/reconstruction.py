"""PSNR and SSIM of reconstructed images (masked image generation, Task 4)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mvlt.evaluation.base import Metric
from mvlt.evaluation.functional import fill_bilinear, fill_mean
from mvlt.models.data_preprocessor import mask_to_pixels
from mvlt.registry import METRICS

_MAX_PSNR = 100.0  # dB; an exact copy has infinite PSNR
_RADIUS = 5  # of SSIM's window, 11 x 11


@METRICS.register_module()
class ReconstructionMetric(Metric):
    """PSNR (dB, at most 100) and SSIM of the whole image and of masked pixels, mean over images.

    ``psnr``, ``ssim``, ``masked_psnr``, ``masked_ssim`` are the model's. The baselines
    ``mean_fill_...`` and ``bilinear_fill_...`` fill masked pixels with the mean colour of the
    others, or interpolate them: a model below them has learnt nothing.

    SSIM is the mean over windows (11 x 11, Gaussian) inside the image, without a border of 5
    pixels, as in Wang et al. (2004) and scikit-image. ``masked_ssim`` is the mean over windows
    centred on masked pixels.
    """

    default_prefix = 'reconstruction'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Each sample: ``reconstruction`` (3, H, W) 0..1, ``pixels`` uint8, ``image_mask``."""
        for sample in data_samples:
            truth = sample['pixels'].float().cpu() / 255
            guesses = {'': sample['reconstruction'].float().cpu()}
            mask = None
            units = sample.get('image_mask')
            if units is not None and units.any() and not units.all():
                mask = mask_to_pixels(units.cpu()[None], truth.shape[1:])[0, 0]
                guesses['mean_fill_'] = fill_mean(truth, mask)
                guesses['bilinear_fill_'] = fill_bilinear(truth, mask)
            result = {}
            for name, guess in guesses.items():
                metrics = _compare(guess, truth, mask)
                result.update({name + key: value for key, value in metrics.items()})
            self.results.append(result)

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """Means over images; masked metrics over images that are partly masked."""
        names = dict.fromkeys(name for result in results for name in result)
        metrics = {
            name: float(np.mean([result[name] for result in results if name in result]))
            for name in names
        }
        metrics['images'] = float(len(results))
        return metrics


def _compare(
    guess: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor | None
) -> dict[str, float]:
    """Metrics of an image (3, H, W), with a mask, bool (H, W), over masked pixels, too."""
    from torchmetrics.functional.image import (  # slow to import
        peak_signal_noise_ratio,
        structural_similarity_index_measure,
    )

    # torchmetrics' mean includes the border
    _, ssim_map = structural_similarity_index_measure(
        guess[None], truth[None], data_range=1.0, return_full_image=True
    )

    def psnr(guess: torch.Tensor, truth: torch.Tensor) -> float:
        return min(float(peak_signal_noise_ratio(guess, truth, data_range=1.0)), _MAX_PSNR)

    inside = slice(_RADIUS, -_RADIUS)
    whole = ssim_map[0][:, inside, inside]
    metrics = dict(psnr=psnr(guess, truth))
    if whole.numel():
        metrics['ssim'] = float(whole.mean())
    if mask is not None:
        metrics['masked_psnr'] = psnr(guess[:, mask], truth[:, mask])
        masked = whole[:, mask[inside, inside]]
        if masked.numel():
            metrics['masked_ssim'] = float(masked.mean())
    return metrics
