"""PSNR and SSIM of rebuilt images (masked image generation, Task 4)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mvlt.evaluation.base import Metric
from mvlt.evaluation.functional import fill_bilinear, fill_mean
from mvlt.models.data_preprocessor import mask_to_pixels
from mvlt.registry import METRICS

_MOST = 100.0  # dB; an exact copy has infinitely many
_RADIUS = 5  # of SSIM's window, 11 x 11


@METRICS.register_module()
class ReconstructionMetric(Metric):
    """Mean over images of PSNR (dB, at most 100) and SSIM, over the whole image and hidden pixels.

    ``psnr``, ``ssim``, ``masked_psnr``, ``masked_ssim`` are the model's. Beside them stand two
    trivial fills of the hidden pixels, ``mean_fill_...`` (mean colour of the visible ones) and
    ``bilinear_fill_...`` (interpolated from the visible ones around): a model below them has learnt
    nothing. SSIM is the mean over windows (11 x 11, Gaussian) that lie in the image as a whole, as
    Wang et al. (2004) and scikit-image have it: the border of 5 pixels has none. Over hidden pixels
    it is the mean of the windows around them, which also see what is beside.
    """

    default_prefix = 'reconstruction'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Each sample: ``reconstruction`` (3, H, W) 0..1, ``pixels`` uint8, ``image_mask``."""
        for sample in data_samples:
            truth = sample['pixels'].float().cpu() / 255
            guesses = {'': sample['reconstruction'].float().cpu()}
            where = None
            hidden = sample.get('image_mask')
            if hidden is not None and hidden.any() and not hidden.all():
                where = mask_to_pixels(hidden.cpu()[None], truth.shape[1:])[0, 0]
                guesses['mean_fill_'] = fill_mean(truth, where)
                guesses['bilinear_fill_'] = fill_bilinear(truth, where)
            result = {}
            for name, guess in guesses.items():
                figures = _compare(guess, truth, where)
                result.update({name + key: value for key, value in figures.items()})
            self.results.append(result)

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """Mean over images; what needs a mask over those with both hidden and visible pixels."""
        names = dict.fromkeys(name for result in results for name in result)
        metrics = {
            name: float(np.mean([result[name] for result in results if name in result]))
            for name in names
        }
        metrics['images'] = float(len(results))
        return metrics


def _compare(
    guess: torch.Tensor, truth: torch.Tensor, where: torch.Tensor | None
) -> dict[str, float]:
    """Figures of one image (3, H, W); over hidden pixels too where ``where``, bool (H, W), is."""
    from torchmetrics.functional.image import (  # training never needs it
        peak_signal_noise_ratio,
        structural_similarity_index_measure,
    )

    # the map lies in the second place of what torchmetrics then returns; its mean counts the border
    _, ssim_map = structural_similarity_index_measure(
        guess[None], truth[None], data_range=1.0, return_full_image=True
    )

    def psnr(guess: torch.Tensor, truth: torch.Tensor) -> float:
        return min(float(peak_signal_noise_ratio(guess, truth, data_range=1.0)), _MOST)

    inside = slice(_RADIUS, -_RADIUS)
    whole = ssim_map[0][:, inside, inside]
    figures = dict(psnr=psnr(guess, truth))
    if whole.numel():
        figures['ssim'] = float(whole.mean())
    if where is not None:
        figures['masked_psnr'] = psnr(guess[:, where], truth[:, where])
        hidden = whole[:, where[inside, inside]]
        if hidden.numel():
            figures['masked_ssim'] = float(hidden.mean())
    return figures
