"""Contract: the shells count what they are given, by figures that a hand can check."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torchmetrics.functional.text import perplexity

from mvlt.evaluation import (
    CategoryMetric,
    KAGLMetric,
    MLMMetric,
    PrecisionMetric,
    ReconstructionMetric,
    RetrievalMetric,
)
from mvlt.structures import PairDataSample

PREDICTIONS = Path(__file__).parents[3] / 'shared/reference/released_recognition_predictions.npz'


def _evaluate(metric, samples):
    metric.process(data_batch=None, data_samples=samples)
    return metric.evaluate(len(samples))


def test_retrieval():
    ranks = [('tir', 1), ('tir', 4), ('itr', 7), ('itr', 1), ('itr', 2)]
    samples = [dict(direction=direction, rank=rank) for direction, rank in ranks]
    metrics = _evaluate(RetrievalMetric(), samples)
    assert metrics['retrieval/tir/R@1'] == 50
    assert metrics['retrieval/tir/R@5'] == 100
    assert metrics['retrieval/tir/MRR'] == pytest.approx(100 * (1 + 1 / 4) / 2)
    assert metrics['retrieval/itr/R@1'] == pytest.approx(100 / 3)
    assert metrics['retrieval/itr/R@5'] == pytest.approx(200 / 3)
    assert metrics['retrieval/itr/SumR'] == pytest.approx(200)
    assert metrics['retrieval/itr/median_rank'] == 2
    assert metrics['retrieval/itr/mean_rank'] == pytest.approx(10 / 3)
    assert metrics['retrieval/itr/queries'] == 3
    assert not any(name.endswith(('_sd', 'chance', 'candidates')) for name in metrics)


def test_queries_candidates_and_chance():
    # by lot: one of 101 and two of 4 are first; the mean of 0.99 and 50 %
    samples = [
        dict(direction='tir', rank=1, relevant=relevant, num_candidates=count)
        for relevant, count in ((1, 101), (2, 4))
    ]
    metrics = _evaluate(RetrievalMetric(), samples)
    assert metrics['retrieval/tir/queries'] == 2
    assert metrics['retrieval/tir/candidates'] == 52.5
    assert metrics['retrieval/tir/chance'] == pytest.approx((100 / 101 + 50) / 2)
    samples = [dict(sample, positives=[True], query=0) for sample in samples]
    assert _evaluate(PrecisionMetric(), samples)['phrases/tir/chance'] == pytest.approx(
        25.495, abs=1e-3
    )
    assert _evaluate(KAGLMetric(), samples)['kagl/tir/candidates'] == 52.5


def test_retrieval_over_draws():
    # R@1 of the draws: 100, 50, 0; mean 50, sample standard deviation 50
    samples = [
        dict(direction='tir', draw=draw, rank=rank)
        for draw, ranks in enumerate([(1, 1), (1, 9), (2, 3)])
        for rank in ranks
    ]
    metrics = _evaluate(RetrievalMetric(topk=(1,)), samples)
    assert metrics['retrieval/tir/R@1'] == 50
    assert metrics['retrieval/tir/R@1_sd'] == pytest.approx(50)
    assert metrics['retrieval/tir/mean_rank'] == pytest.approx((1 + 5 + 2.5) / 3)
    assert metrics['retrieval/tir/queries'] == 6


def test_precision():
    # P@2 of 'a': 50 and 100; of 'b', whose only answer is right, 50: the missing one is wrong
    answers = [('a', [1, 0, 1]), ('a', [1, 1, 0]), ('b', [1])]
    samples = [dict(direction=kind, positives=np.array(answer, bool)) for kind, answer in answers]
    metrics = _evaluate(PrecisionMetric(topk=(1, 2)), samples)
    assert metrics['phrases/a/P@1'] == 100 and metrics['phrases/a/P@2'] == 75
    assert metrics['phrases/b/P@2'] == 50 and metrics['phrases/b/queries'] == 1


def test_titles_that_several_products_share():
    # two of four found first and second: R@1 25, R@2 50; the second title is found at 11: MRR 0
    samples = [
        dict(direction='tir', query=0, rank=1, relevant=4, positives=[1, 1, 0]),
        dict(direction='tir', query=3, rank=11, relevant=1, positives=[0, 0, 0]),
        dict(direction='itr', query=0, rank=1, relevant=1, positives=[1, 0, 0]),
        dict(direction='tir', query=9, rank=2, relevant=1, positives=[0, 1, 0]),
    ]
    metrics = _evaluate(KAGLMetric(topk=(1, 2), queries=2), samples)
    assert metrics['kagl/tir/R@1'] == 12.5 and metrics['kagl/tir/R@2'] == 25
    assert metrics['kagl/tir/MRR'] == 50 and metrics['kagl/tir/queries'] == 2
    assert _evaluate(KAGLMetric(topk=(1,), queries=None), samples)['kagl/tir/queries'] == 3


def test_recognition_skips_unknown_classes():
    """It evaluates the given head."""
    samples = [
        dict(colour=truth, image_scores=torch.eye(3)[predicted])
        for truth, predicted in ((0, 0), (-1, 1), (2, 1))
    ]
    metrics = _evaluate(CategoryMetric('colour', head='image'), samples)
    assert metrics['image/accuracy'] == 50 and metrics['image/samples'] == 2


def test_recognition():
    # truth 0 0 0 1, predicted 0 0 1 2: F of class 0 = 0.8, of class 1 = 0; class 2 is never true,
    # but predicted, so that it counts as 0 in the released code's macro average
    samples = []
    for truth, predicted in ((0, 0), (0, 0), (0, 1), (1, 2)):
        scores = torch.eye(3)[predicted]
        samples.append(dict(main_category=truth, main_category_scores=scores))
    metric = CategoryMetric('main_category')
    metric.dataset_meta = dict(main_category=('A', 'B', 'C', 'D'), main_category_trained=1)
    metrics = _evaluate(metric, samples)
    assert metrics['main_category/accuracy'] == 50
    assert metrics['main_category/macro_f'] == pytest.approx(0.8 / 3)
    assert metrics['main_category/macro_f_of_truth'] == pytest.approx(0.4)
    assert metrics['main_category/SumC'] == pytest.approx(50 + 80 / 3)
    assert metrics['main_category/classes'] == 3
    assert metrics['main_category/classes_of_truth'] == 2
    assert metric.predictions == dict(truth=[0, 0, 0, 1], predicted=[0, 0, 1, 2])
    assert metrics['main_category/weighted_f'] == pytest.approx(
        0.6
    )  # 3 of 4 samples are of class 0
    first, second = metric.details['per_class']
    assert first == dict(
        name='A', precision=1.0, recall=0.6667, f1=0.8, samples=3, in_training=True
    )
    assert (second['name'], second['f1'], second['in_training']) == ('B', 0, False)
    confusion = metric.details['confusion']
    assert confusion['names'] == ['A', 'B', 'C']
    assert confusion['counts'] == [[2, 1, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.skipif(not PREDICTIONS.is_file(), reason='the released predictions are not at hand')
def test_recognition_of_the_released_code():
    """The authors' own predictions give the figures of their log, which Table 2 rounds."""
    released = np.load(PREDICTIONS)
    for level, accuracy, macro_f in (('main', 98.2477, 0.8952777), ('sub', 93.5717, 0.8286231)):
        metric = CategoryMetric(level)
        pairs = zip(released[f'{level}_truth'].tolist(), released[f'{level}_predicted'].tolist())
        metrics = metric.compute_metrics(list(pairs))
        assert metrics['accuracy'] == pytest.approx(accuracy, abs=5e-5)
        assert metrics['macro_f'] == pytest.approx(macro_f, abs=1e-7)
        assert metrics['SumC'] == pytest.approx(accuracy + 100 * macro_f, abs=1e-4)
    assert metrics['classes'] == 111 and metrics['classes_of_truth'] == 109
    assert metrics['macro_f_of_truth'] == pytest.approx(0.8438, abs=5e-5)


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
    assert metrics['reconstruction/masked_ssim'] < metrics['reconstruction/ssim']
    # around the white square everything is grey: both fills say grey
    for name in ('psnr', 'ssim', 'masked_psnr', 'masked_ssim'):
        fills = [metrics[f'reconstruction/{fill}_fill_{name}'] for fill in ('mean', 'bilinear')]
        assert fills[0] == pytest.approx(fills[1], abs=1e-3)
        assert fills[0] < metrics[f'reconstruction/{name}']


def _naive_ssim(image, other):
    """Wang et al. (2004), window by window, those that lie in the image: (H - 10, W - 10)."""
    weights = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(weights, weights) / np.outer(weights, weights).sum()
    height, width = image.shape
    values = np.empty((height - 10, width - 10))
    for row in range(height - 10):
        for column in range(width - 10):
            a, b = (values[row : row + 11, column : column + 11] for values in (image, other))
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a = (window * a * a).sum() - mean_a**2
            var_b = (window * b * b).sum() - mean_b**2
            covariance = (window * a * b).sum() - mean_a * mean_b
            top = (2 * mean_a * mean_b + 0.01**2) * (2 * covariance + 0.03**2)
            below = (mean_a**2 + mean_b**2 + 0.01**2) * (var_a + var_b + 0.03**2)
            values[row, column] = top / below
    return values


def test_ssim_leaves_out_the_border_as_the_naive_one_does():
    """Over masked pixels it is the mean of windows centred on them."""
    sample = PairDataSample()
    sample.pixels = torch.randint(0, 256, (3, 24, 24), dtype=torch.uint8)
    sample.reconstruction = torch.rand(3, 24, 24)
    sample.image_mask = torch.eye(3, dtype=torch.bool)
    metrics = _evaluate(ReconstructionMetric(), [sample.to_dict()])
    pairs = zip(sample.reconstruction.numpy(), sample.pixels.numpy() / 255)
    naive = np.stack([_naive_ssim(ours, truth) for ours, truth in pairs])
    masked = np.kron(np.eye(3), np.ones((8, 8))).astype(bool)[5:-5, 5:-5]
    assert metrics['reconstruction/ssim'] == pytest.approx(naive.mean(), abs=1e-5)
    assert metrics['reconstruction/masked_ssim'] == pytest.approx(naive[:, masked].mean(), abs=1e-5)


def test_an_exact_copy_has_a_hundred_decibels():
    sample = PairDataSample()
    sample.pixels = torch.full((3, 32, 32), 255, dtype=torch.uint8)
    sample.reconstruction = torch.ones(3, 32, 32)
    sample.image_mask = torch.eye(4, dtype=torch.bool)
    metrics = _evaluate(ReconstructionMetric(), [sample.to_dict()])
    assert metrics['reconstruction/psnr'] == 100  # and no infinity, which JSON cannot say
    assert metrics['reconstruction/mean_fill_masked_psnr'] == 100


@pytest.mark.parametrize('masked', [True, False])
def test_reconstruction_of_wholly_masked_or_visible_images(masked):
    sample = PairDataSample()
    sample.pixels = torch.zeros(3, 32, 32, dtype=torch.uint8)
    sample.reconstruction = torch.full((3, 32, 32), 0.1)
    sample.image_mask = torch.full((4, 4), masked)
    metrics = _evaluate(ReconstructionMetric(), [sample.to_dict()])
    assert metrics['reconstruction/psnr'] == pytest.approx(20, abs=1e-3)
    assert 'reconstruction/masked_psnr' not in metrics


def test_mlm():
    def sample(labels, predictions, probabilities):
        return dict(
            mlm_labels=torch.tensor(labels),
            word_predictions=torch.tensor(predictions, dtype=torch.long),
            word_log_probs=torch.tensor(probabilities).log(),
        )

    samples = [
        sample([-1, 7, 9], [7, 8], [0.5, 0.25]),
        sample([-1, -1], [], []),
        sample([5, 6], [5, 6], [0.5, 1.0]),
    ]
    metrics = _evaluate(MLMMetric(), samples)
    assert metrics['mlm/accuracy'] == 75 and metrics['mlm/words'] == 4
    assert metrics['mlm/perplexity'] == pytest.approx(2)  # (1/2 x 1/4 x 1/2 x 1) ** (-1/4)
    none = _evaluate(MLMMetric(), samples[1:2])
    assert none['mlm/accuracy'] == 0 and none['mlm/perplexity'] == 1


def test_perplexity_is_that_of_torchmetrics():
    logits, labels = torch.randn(1, 30, 11), torch.randint(0, 11, (1, 30))
    log_probs = logits.log_softmax(-1)[0].gather(-1, labels[0][:, None])[:, 0]
    sample = dict(
        mlm_labels=labels[0], word_predictions=logits[0].argmax(-1), word_log_probs=log_probs
    )
    expected = float(perplexity(logits, labels))
    assert _evaluate(MLMMetric(), [sample])['mlm/perplexity'] == pytest.approx(expected, rel=1e-5)
