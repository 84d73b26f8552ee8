"""Contract: the losses of CLIP and SigLIP, pair by pair; several processes compute the same."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from mvlt.models import ITCHead
from mvlt.structures import IMAGE_KEYS, TEXT_KEYS, Batch, PairDataSample, belong

DIMS = 6


class _Backbone(nn.Module):
    """A dual encoder of one layer each, instead of the pyramid."""

    def __init__(self):
        super().__init__()
        self.image, self.text = nn.Linear(4, DIMS), nn.Linear(4, DIMS)

    def encode_image(self, image):
        return (self.image(image)[:, :, None, None],)

    def encode_text(self, token_ids, text_mask):
        return (self.text(token_ids)[:, None],)


def _given(head, backbone, image, text, keys, mixed=None):
    """Features and batch of rows whose pooled maps are those of ``backbone``."""
    pooled = backbone.image(image), backbone.text(text)
    features = SimpleNamespace(
        embeds=(head.image_embeds(pooled[0]), head.text_embeds(pooled[1])),
        inputs=dict(image=image, token_ids=text, text_mask=None),
    )
    matched = torch.ones(len(keys), dtype=torch.bool)
    tables = dict(image_keys=_wide(keys, IMAGE_KEYS), text_keys=_wide(keys, TEXT_KEYS))
    return features, SimpleNamespace(**tables, matched=matched, mixed=mixed)


def _wide(keys, columns):
    """Keys of product, caption and read caption; no other caption."""
    return nn.functional.pad(keys, (0, columns - keys.shape[1]))


def _make(seed=0, rows=6, **settings):
    torch.manual_seed(seed)
    backbone = _Backbone()
    head = ITCHead(DIMS, dims=5, backbone=backbone, **settings)
    for linear in (head.image, head.text):
        nn.init.normal_(linear.weight)
    keys = 1 + torch.arange(3 * rows).view(rows, 3)
    keys[4, 0] = keys[1, 0]  # one product
    keys[5, 2] = keys[2, 2]  # equal captions
    return head, backbone, torch.randn(rows, 4), torch.randn(rows, 4), keys


def _naive(head, images, texts, keys, others=(), smoothing=0.0, mixed=None):
    """Both directions, row by row; ``others``: further images, texts and keys."""
    partner, share = mixed or (range(len(images)), 1)
    scale = math.exp(float(head.logit_scale))
    all_images, all_texts, all_keys = (
        np.concatenate((batch, *(other[i] for other in others)))
        for i, batch in enumerate((images, texts, keys))
    )
    total = 0.0
    for by_image, queries, candidates in ((1, images, all_texts), (0, texts, all_images)):
        for i, query in enumerate(queries):
            logits = [scale * float(query @ candidate) for candidate in candidates]

            def belongs(a, b):
                return any(a[k] == b[k] for k in range(3))

            def shares(row):
                """Targets of a row: the sum is 1 for softmax; for sigmoid each positive is 1."""
                targets = [1.0 * belongs(keys[row], other) for other in all_keys]
                total = 1 if head.form == 'sigmoid' else sum(targets)
                return [target / total for target in targets]

            targets = shares(i)
            if mixed and by_image:
                pairs = zip(targets, shares(partner[i]))
                targets = [share * target + (1 - share) * other for target, other in pairs]
            elif mixed:
                targets = [
                    share * targets[j] + (1 - share) * targets[partner[j]] for j in range(len(keys))
                ]
            if head.form == 'sigmoid':
                for x, y in zip(logits, targets):
                    x += float(head.bias)
                    total += y * math.log1p(math.exp(-x)) + (1 - y) * math.log1p(math.exp(x))
                continue
            norm = math.log(sum(map(math.exp, logits)))
            for x, y in zip(logits, targets):
                target = (1 - smoothing) * y / sum(targets) + smoothing / len(logits)
                total -= target * (x - norm)
    return total / len(images) / 2


MIXED = torch.tensor([3, 1, 0, 5, 2, 4]), 0.7


@pytest.mark.parametrize('mixed', [None, MIXED])
@pytest.mark.parametrize(
    'settings', [{}, dict(label_smoothing=0.2), dict(form='sigmoid', bias=-2.0)]
)
def test_loss_is_the_naive_one(settings, mixed):
    head, backbone, image, text, keys = _make(loss_weight=0.5, **settings)
    features, batch = _given(head, backbone, image, text, keys, mixed)
    loss = head.loss(features, batch)['loss']
    images, texts = (embeds.detach().numpy() for embeds in features.embeds)
    assert np.allclose((images**2).sum(1), 1)
    smoothing = settings.get('label_smoothing', 0.0)
    naive = _naive(head, images, texts, keys.numpy(), (), smoothing, mixed)
    assert float(loss) == pytest.approx(0.5 * naive, rel=1e-5)
    similar = head.predict(features, batch)['similarity']
    assert similar == pytest.approx((images * texts).sum(1).tolist(), abs=1e-6)


def test_mixing_shares_do_not_depend_on_the_number_of_captions():
    """Three captions of the image's product, one of the partner's: 0.7 / 3 each and 0.3."""
    head = ITCHead(DIMS, dims=5)
    of_images = torch.tensor([[1, 1, 1, 0], [0, 0, 0, 1]]).float()
    shares = of_images / of_images.sum(1, keepdim=True)
    mixed, _ = head._mixed(shares, torch.eye(2), torch.tensor([1, 0]), 0.7)
    torch.testing.assert_close(mixed[0], torch.tensor([0.7 / 3, 0.7 / 3, 0.7 / 3, 0.3]))


def _batch(*metas):
    samples = []
    for meta in metas:
        matched = meta.pop('matched', None)
        samples.append(PairDataSample(metainfo=meta))
        if matched is not None:
            samples[-1].matched = matched
    return Batch(dict(token_ids=torch.zeros(len(samples), 1)), samples)


def _belong(*metas):
    batch = _batch(*metas)
    return belong(batch.image_keys, batch.text_keys).int().tolist()


def test_positives():
    """Images in rows, captions in columns."""
    row = dict(product_id='1', caption='Red Shirt')
    assert _belong(row, dict(product_id='2', caption='Blue hat')) == [[1, 0], [0, 1]]
    # the tokenizer ignores case and spaces
    assert _belong(row, dict(product_id='2', caption='RED  SHIRT')) == [[1, 1], [1, 1]]
    # without a product id rows are not of one product
    assert _belong(dict(caption='a'), dict(caption='b')) == [[1, 0], [0, 1]]


def test_an_augmented_caption_is_a_positive_of_all_that_it_describes():
    """Row 0 is read as 'women tshirts'; row 1 is such a shirt in blue, row 2 a man's shirt."""
    keys = [('g=w\x1ft=shirt', 'c=red'), ('g=w\x1ft=shirt', 'c=blue'), ('g=m\x1ft=shirt', 'c=red')]
    rows = [
        dict(
            product_id=str(i), title=f'title {i}', caption=f'title {i}', other_caption_keys=keys[i]
        )
        for i in range(3)
    ]
    rows[0].update(caption='women tshirts', read_caption_key=keys[0][0])
    assert _belong(*rows) == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    batch = _batch(*rows)
    of_texts = belong(batch.image_keys, batch.text_keys).T
    assert of_texts.sum(1).tolist() == [2, 1, 1]


def test_the_caption_of_a_mismatched_pair_is_a_positive_of_another_product():
    rows = [
        dict(product_id='1', caption='title 2', title='title 2', caption_product_id='2',
             image_title='title 1', image_other_caption_keys=(), matched=0),
        dict(product_id='2', caption='title 2', matched=1),
        dict(product_id='3', caption='title 1', matched=1),
    ]  # fmt: skip
    assert _belong(*map(dict, rows)) == [[0, 0, 1], [1, 1, 0], [0, 0, 1]]
    head = ITCHead(DIMS, dims=5)
    described = belong(*(getattr(_batch(*map(dict, rows)), k) for k in ('image_keys', 'text_keys')))
    pairs = head._with_pairs(torch.zeros(3, 3, dtype=torch.bool), _batch(*map(dict, rows)))
    assert pairs.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 1]] and not described[0, 0]


def test_all_rows_of_one_product_are_positives():
    """The target is uniform, no row is a negative."""
    head, backbone, image, text, keys = _make()
    keys[:, 0] = 7
    features, batch = _given(head, backbone, image, text, keys)
    logits = head.logits(*features.embeds)
    even = -(logits.log_softmax(1).mean() + logits.T.log_softmax(1).mean()) / 2
    torch.testing.assert_close(head.loss(features, batch)['loss'], even)


def test_the_scale_stays_within_its_bounds():
    head, backbone, image, text, keys = _make(max_logit_scale=20.0)
    for start, bounded in ((9.0, 20.0), (-3.0, 1.0)):
        nn.init.constant_(head.logit_scale, start)
        head.loss(*_given(head, backbone, image, text, keys))
        assert float(head.scale) == pytest.approx(bounded)


def test_queue_and_momentum_copy():
    head, backbone, image, text, keys = _make(queue=8, momentum=0.9)
    nn.init.zeros_(backbone.image.bias)  # as loading a checkpoint does
    head.start_following(backbone)
    first = _given(head, backbone, image, text, keys)
    images, texts = (embeds.detach().numpy() for embeds in first[0].embeds)
    plain = _naive(head, images, texts, keys.numpy())
    assert float(head.loss(*first)['loss']) == pytest.approx(plain, rel=1e-5)  # nothing is queued
    assert int(head.queued) == 0  # a skipped step adds nothing
    before = backbone.image.weight.detach().clone()
    nn.init.ones_(backbone.image.weight)
    head.follow(backbone)
    copied = head.followers['backbone'].image.weight
    torch.testing.assert_close(copied, 0.9 * before + 0.1)
    assert not any(weight.requires_grad for weight in head.followers.parameters())
    assert int(head.queued) == 6 and torch.equal(head.queued_text_keys[:6, :3], keys)
    np.testing.assert_allclose(head.queued_images[:6], images, atol=1e-6)

    later = _given(head, backbone, text, image, keys + 100)
    loss = float(head.loss(*later)['loss'])
    embeds = [values.detach().numpy() for values in later[0].embeds]
    queues = (head.queued_images, head.queued_texts, head.queued_image_keys[:, :3])
    queued = tuple(queue[:6].numpy() for queue in queues)
    assert loss == pytest.approx(_naive(head, *embeds, (keys + 100).numpy(), [queued]), rel=1e-5)
    head.follow(backbone)  # 12 embeddings for 8 slots: the oldest leave
    assert int(head.queued) == 12
    new, old = (keys[:, 0] + 100).tolist(), keys[:, 0].tolist()
    assert head.queued_image_keys[:, 0].tolist() == new[2:] + old[4:] + new[:2]
    head.follow(backbone)  # nothing new
    assert int(head.queued) == 12


def test_a_queue_needs_the_backbone():
    with pytest.raises(ValueError, match='needs the argument backbone'):
        ITCHead(DIMS, queue=4)
    with pytest.raises(ValueError, match="form='hinge'; legal: 'softmax', 'sigmoid'"):
        ITCHead(DIMS, form='hinge')
    head, *given = _make(queue=4)
    with pytest.raises(ValueError, match='exclude each other'):
        head.loss(*_given(head, *given, MIXED))


def _gradients(head, backbone, image, text, keys, mixed=None):
    head.loss(*_given(head, backbone, image, text, keys, mixed))['loss'].backward()
    weights = [*backbone.parameters(), *(p for p in head.parameters() if p.requires_grad)]
    return [weight.grad for weight in weights]


SHUFFLED = torch.tensor([2, 0, 1])


def _process(rank, form, mix, folder):
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    torch.set_num_threads(1)
    head, backbone, image, text, keys = _make(form=form, queue=0 if mix else 6, bias=-2.0)
    rows = slice(3 * rank, 3 * rank + 3)
    for step in range(2):  # the second time with a queue
        mixed = (SHUFFLED, 0.6) if mix else None
        keys_of_step = keys[rows] + 50 * step
        grads = _gradients(head, backbone, image[rows] + step, text[rows], keys_of_step, mixed)
        if not mix:
            head.follow(backbone)
    for grad in grads:
        dist.all_reduce(grad)
        grad /= 2
    torch.save((grads, None if mix else head.queued_text_keys), f'{folder}/{rank}.pt')
    dist.destroy_process_group()


@pytest.mark.parametrize(('form', 'mix'), [('softmax', 0), ('sigmoid', 0), ('softmax', 1)])
def test_two_processes_compute_the_gradients_of_the_whole_batch(form, mix, tmp_path):
    mp.spawn(_process, (form, mix, str(tmp_path)), nprocs=2)
    head, backbone, image, text, keys = _make(form=form, queue=0 if mix else 6, bias=-2.0)
    mixed = (torch.cat((SHUFFLED, SHUFFLED + 3)), 0.6) if mix else None
    for step in range(2):
        grads = _gradients(head, backbone, image + step, text, keys + 50 * step, mixed)
        if not mix:
            head.follow(backbone)
    for rank in range(2):
        theirs, queue = torch.load(tmp_path / f'{rank}.pt')
        torch.testing.assert_close(grads, theirs)
        assert mix or torch.equal(queue, head.queued_text_keys)


def test_without_projections_the_encoders_outputs_are_the_embeddings():
    """``dims=None``: only scale and bias are learnt; a queue holds embeddings of C."""
    head = ITCHead(DIMS, dims=None, form='sigmoid')
    pooled = torch.randn(3, DIMS)
    expected = pooled / pooled.norm(dim=1, keepdim=True)
    assert torch.equal(head.image_embeds(pooled), nn.functional.normalize(pooled, dim=-1))
    torch.testing.assert_close(head.text_embeds(pooled), expected)
    assert {*head.state_dict()} == {'logit_scale', 'bias'}
    queue = ITCHead(DIMS, dims=None, queue=7, backbone=_Backbone())
    assert queue.queued_images.shape == (7, DIMS)
