"""Contract: cross-entropy over names of classes, by hand; unknown classes are ignored."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from mvlt.models import ITCHead, PromptHead

NAMES = dict(colour=[[3], [4, 5], [6]], kind=[[7, 8], [9]])


def _features(itc, table):
    """The text encoder looks tokens up in a table; images are given."""
    torch.manual_seed(1)
    backbone = SimpleNamespace(encode_text=lambda ids, mask: (table[ids],))
    model = SimpleNamespace(backbone=backbone, head_that={'embedding': itc}.__getitem__)
    images = F.normalize(torch.randn(4, 6), dim=1)
    return SimpleNamespace(
        model=model, embeds=(images, None), inputs=dict(token_ids=torch.zeros(4, 1, dtype=int))
    )


def _batch(**labels):
    mixed, step = labels.pop('mixed', None), labels.pop('step', 0)
    return SimpleNamespace(labels=lambda key: torch.tensor(labels[key]), mixed=mixed, step=step)


@pytest.fixture
def parts():
    torch.manual_seed(0)
    return ITCHead(8, dims=6), torch.randn(12, 8, requires_grad=True)


def test_a_naive_twin(parts):
    """Each name is embedded alone, each image has its softmax; -1 is ignored."""
    itc, table = parts
    head = PromptHead(('colour', 'kind'), templates=('{}', 'a {}'), loss_weight=0.5)
    token_ids = {
        label: [[torch.tensor(ids), torch.tensor([2, *ids])] for ids in names]
        for label, names in NAMES.items()
    }
    head.know(token_ids)
    features = _features(itc, table)
    labels = dict(colour=[0, 2, -1, 1], kind=[1, -1, -1, 0])
    for step in (0, 1):
        expected = 0
        for label, names in NAMES.items():
            embeds = []
            for ids in names:
                ids = [2, *ids] if step else ids
                embeds.append(F.normalize(itc.text(table[ids].mean(0)), dim=0))
            losses = []
            for image, label_id in zip(features.embeds[0], labels[label]):
                if label_id >= 0:
                    logits = torch.stack([itc.scale * image @ v for v in embeds])
                    losses.append(-logits.log_softmax(0)[label_id])
            expected = expected + sum(losses) / len(losses)
        loss = head.loss(features, _batch(**labels, step=step))['loss']
        torch.testing.assert_close(loss, 0.5 * expected)
    (gradient,) = torch.autograd.grad(loss, table)
    assert gradient[[3, 4, 5, 6, 7, 8, 9]].abs().sum(1).min() > 0 and gradient[[10, 11]].eq(0).all()


def test_without_known_classes_the_loss_is_0(parts):
    head = PromptHead(('colour',))
    features = _features(*parts)
    with pytest.raises(ValueError, match='PromptsHook'):
        head.loss(features, _batch())
    head.know({})
    assert head.loss(features, _batch())['loss'] == 0
    head.know(dict(colour=[[torch.tensor([3])], [torch.tensor([4])]]))
    assert head.loss(features, _batch(colour=[-1] * 4))['loss'] == 0
    assert head.predict(features, _batch()) == {} and not list(head.parameters())
    with pytest.raises(ValueError, match='lacks {} for the name'):
        PromptHead(('colour',), templates=('a photo',))
