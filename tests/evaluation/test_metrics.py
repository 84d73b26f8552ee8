"""Contract: the shells count what they are given, by figures that a hand can check."""

import math

import numpy as np
import pytest
import torch

from mvlt.evaluation import CategoryMetric, MLMMetric, ReconstructionMetric, RetrievalMetric
from mvlt.structures import PairDataSample


def _evaluate(metric, samples):
    metric.process(data_batch=None, data_samples=samples)
    return metric.evaluate(len(samples))


def test_retrieval():
    def query(direction, rank):
        scores = np.arange(10.0)
        positives = scores == 10 - rank
        return dict(direction=direction, scores=scores, positives=positives)

    samples = [query('tir', 1), query('tir', 4), query('itr', 7), query('itr', 1), query('itr', 2)]
    metrics = _evaluate(RetrievalMetric(), samples)
    assert metrics['retrieval/tir/R@1'] == 50
    assert metrics['retrieval/tir/R@5'] == 100
    assert metrics['retrieval/itr/R@1'] == pytest.approx(100 / 3)
    assert metrics['retrieval/itr/R@5'] == pytest.approx(200 / 3)
    assert metrics['retrieval/itr/SumR'] == pytest.approx(200)
    assert metrics['retrieval/itr/queries'] == 3


def test_recognition():
    # truth 0 0 0 1, predicted 0 0 1 2: F of class 0 = 0.8, of class 1 = 0; class 2 is never true
    samples = []
    for truth, predicted in ((0, 0), (0, 0), (0, 1), (1, 2)):
        scores = torch.eye(3)[predicted]
        samples.append(dict(main_category=truth, main_category_scores=scores))
    metrics = _evaluate(CategoryMetric('main_category'), samples)
    assert metrics['main_category/accuracy'] == 50
    assert metrics['main_category/macro_f'] == pytest.approx(0.4)
    assert metrics['main_category/SumC'] == pytest.approx(90)
    assert metrics['main_category/classes'] == 2


def test_reconstruction():
    sample = PairDataSample()
    sample.pixels = torch.full((3, 32, 32), 51, dtype=torch.uint8)  # 0.2
    sample.pixels[:, :8, :8] = 255
    sample.reconstruction = sample.pixels.float() / 255
    sample.reconstruction[:, :8, :8] = 0.9
    sample.image_mask = torch.zeros(4, 4, dtype=torch.bool)
    sample.image_mask[0, 0] = True
    metrics = _evaluate(ReconstructionMetric(), [sample.to_dict()])
    # squared error 0.01 on 64 of 1,024 pixels; mean colour of the visible ones is 0.2
    assert metrics['reconstruction/masked_psnr'] == pytest.approx(20, abs=1e-3)
    assert metrics['reconstruction/psnr'] == pytest.approx(20 + 10 * math.log10(16), abs=1e-3)
    assert metrics['reconstruction/mean_fill_masked_psnr'] == pytest.approx(
        -10 * math.log10(0.64), abs=1e-3
    )
    assert 0.9 < metrics['reconstruction/ssim'] < 1


@pytest.mark.parametrize('hidden', [True, False])
def test_reconstruction_of_wholly_hidden_or_visible_images(hidden):
    sample = PairDataSample()
    sample.pixels = torch.zeros(3, 32, 32, dtype=torch.uint8)
    sample.reconstruction = torch.full((3, 32, 32), 0.1)
    sample.image_mask = torch.full((4, 4), hidden)
    metrics = _evaluate(ReconstructionMetric(), [sample.to_dict()])
    assert metrics['reconstruction/psnr'] == pytest.approx(20, abs=1e-3)
    assert 'reconstruction/masked_psnr' not in metrics


def test_mlm():
    def sample(labels, predictions):
        return dict(
            word_labels=torch.tensor(labels),
            word_predictions=torch.tensor(predictions, dtype=torch.long),
        )

    samples = [sample([-1, 7, 9], [7, 8]), sample([-1, -1], []), sample([5, 6], [5, 6])]
    assert _evaluate(MLMMetric(), samples) == {'mlm/accuracy': 75.0, 'mlm/words': 4.0}
    assert _evaluate(MLMMetric(), samples[1:2])['mlm/accuracy'] == 0
