"""Contract: negatives are no positives; their probability follows hardness and similarity."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from mvlt.models import HardITMHead
from mvlt.models.heads.hard_itm import sample_negatives

LOGITS = torch.tensor([[9.0, 1.0, 2.0, 0.0], [0.0, 3.0, 9.0, 1.0], [1.0, 1.0, 4.0, 2.0], [0.0] * 4])
POSITIVES = torch.eye(4, dtype=torch.bool)


def _frequencies(hardness, positives=POSITIVES, times=4000):
    torch.manual_seed(0)
    samples = [sample_negatives(LOGITS, positives, hardness) for _ in range(times)]
    columns = torch.stack(samples, 1)
    return torch.stack([(columns == column).float().mean(1) for column in range(4)], 1)


def test_uniform_at_hardness_0_and_by_similarity_at_1():
    torch.testing.assert_close(_frequencies(0.0), (1 - POSITIVES.float()) / 3, atol=0.03, rtol=0)
    softmax = LOGITS.masked_fill(POSITIVES, float('-inf')).softmax(1)
    torch.testing.assert_close(_frequencies(1.0), softmax, atol=0.03, rtol=0)


def test_equal_captions_are_never_sampled():
    positives = POSITIVES.clone()
    positives[1, 2] = positives[2, 1] = True
    assert _frequencies(1.0, positives)[1, 2] == 0


def test_a_row_without_a_negative():
    columns = sample_negatives(LOGITS[:2, :2], torch.ones(2, 2, dtype=torch.bool), 1.0)
    assert columns.tolist() == [-1, -1]


@pytest.mark.parametrize(('negatives', 'count'), [(1, 4), (2, 8)])
def test_pairs(negatives, count):
    head = HardITMHead(8, negatives=negatives)
    images, texts = head.sample_pairs(LOGITS, POSITIVES)
    assert len(images) == len(texts) == count and (images != texts).all()
    if negatives == 1:
        assert images[:2].tolist() == [0, 2] and texts[2:].tolist() == [1, 3]
    else:
        assert images[:4].tolist() == texts[4:].tolist() == [0, 1, 2, 3]


def test_hardness_follows_the_step():
    head = HardITMHead(8, warmup_steps=10)
    for step, hardness in ((0, 0.0), (5, 0.5), (10, 1.0), (99, 1.0)):
        assert head.hardness(step) == hardness
    assert HardITMHead(8).hardness(0) == 1.0
    with pytest.raises(ValueError, match='negatives=3; legal: 1, 2'):
        HardITMHead(8, negatives=3)


def _features(calls):
    """Features whose [CLS] is the sum of image and caption."""
    torch.manual_seed(1)
    images, texts = torch.randn(4, 8), torch.randn(4, 8)

    def pairs(image_rows, text_rows, cls_only):
        calls.append((image_rows, text_rows, cls_only))
        return SimpleNamespace(texts=((images[image_rows] + texts[text_rows])[:, None],))

    itc = SimpleNamespace(logits=lambda images, texts: LOGITS)
    return SimpleNamespace(
        cls=images + texts,
        embeds=(None, None),
        model=SimpleNamespace(head_that=dict(embedding=itc).__getitem__),
        pairs=pairs,
    ), (images, texts)


def test_loss_is_the_mean_over_positives_and_negatives():
    calls = []
    features, (images, texts) = _features(calls)
    head = HardITMHead(8, hidden_dims=16, loss_weight=2.0)
    batch = SimpleNamespace(positives=POSITIVES, step=0)
    loss = head.loss(features, batch)['loss']
    ((image_rows, text_rows, cls_only),) = calls
    assert cls_only and len(image_rows) == 8
    total = 0.0
    pairs = [(i, i, 1) for i in range(4)]
    pairs += [(i, j, 0) for i, j in zip(image_rows.tolist(), text_rows.tolist())]
    for i, j, label in pairs:
        logits = head(cls=(images[i] + texts[j])[None])
        total += F.cross_entropy(logits, torch.tensor([label]))
    torch.testing.assert_close(loss, 2 * total / len(pairs))


def test_a_batch_of_one_product_has_positives_only():
    calls = []
    features, _ = _features(calls)
    head = HardITMHead(8)
    batch = SimpleNamespace(positives=torch.ones(4, 4, dtype=torch.bool), step=0)
    loss = head.loss(features, batch)['loss']
    ones = torch.ones(4, dtype=torch.int64)
    torch.testing.assert_close(loss, F.cross_entropy(head(cls=features.cls), ones))
