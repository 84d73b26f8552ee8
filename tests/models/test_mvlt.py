"""Contract: the loss is Eq. 8; a task builds and runs only its heads."""

import pytest
import torch
from mmengine.runner import turn_on_activation_checkpointing

from mvlt.models import MVLT
from mvlt.structures import PairDataSample

BACKBONE = dict(
    type='mvlt.PVTVL',
    image_size=32,
    context_length=12,
    vocab_size=50,
    embed_dims=(8, 16, 24, 32),
    num_heads=(1, 2, 3, 4),
    depths=(1, 1, 1, 1),
    token_embed_dim=16,
)
MIR = dict(mir=dict(type='mvlt.MIRHead'))
ITM = dict(itm=dict(type='mvlt.ITMHead', hidden_dims=16))
MLM = dict(mlm=dict(type='mvlt.MLMHead'))
CATEGORIES = dict(
    main_category=dict(type='mvlt.CategoryHead', num_classes=3, hidden_dims=16),
    sub_category=dict(type='mvlt.CategoryHead', num_classes=5, hidden_dims=16),
)


def _model(**heads):
    return MVLT(
        backbone=BACKBONE,
        neck=dict(type='mvlt.UNet') if 'mir' in heads else None,
        heads=heads,
        data_preprocessor=dict(type='mvlt.PairDataPreprocessor'),
    )


def _data(batch=4):
    samples = []
    for i in range(batch):
        sample = PairDataSample()
        sample.matched, sample.main_category, sample.sub_category = i % 2, i % 3, i % 5
        sample.image_mask = torch.rand(2, 2) < 0.5
        sample.mlm_labels = torch.tensor([-1, 7, -1, 9, -1])
        samples.append(sample)
    inputs = dict(
        image=[torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8) for _ in range(batch)],
        token_ids=[torch.randint(5, 50, (5,)) for _ in range(batch)],
    )
    return dict(inputs=inputs, data_samples=samples)


def _prepare(model, batch=4):
    return model.data_preprocessor(_data(batch))


@pytest.mark.parametrize(
    ('heads', 'terms'),
    [
        (ITM, {'loss_itm'}),
        ({**ITM, **MIR}, {'loss_itm', 'loss_mir'}),
        ({**ITM, **MLM}, {'loss_itm', 'loss_mlm'}),
        ({**ITM, **MLM, **MIR}, {'loss_itm', 'loss_mlm', 'loss_mir'}),
        (CATEGORIES, {'loss_main_category', 'loss_sub_category'}),
    ],
    ids=['ITM', 'ITM+MIR', 'ITM+MLM', 'all', 'recognition'],
)
def test_each_head_gives_a_term_and_other_heads_are_not_built(heads, terms):
    model = _model(**heads)
    losses = model(**_prepare(model), mode='loss')
    assert set(losses) == terms
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    built = {name.split('.')[0] for name, _ in model.named_parameters()} - {'neck'}
    assert built == {'backbone', 'heads'} and set(model.heads) == set(heads)
    assert (model.neck is not None) == ('mir' in heads)


def test_total_is_10_1_1():
    model = _model(**ITM, **MLM, **MIR).eval()
    data = _prepare(model)
    losses = model(**data, mode='loss')
    total, _ = model.parse_losses(losses)
    for head in (model.heads.mir, model.heads.itm, model.heads.mlm):
        head.loss_weight = 1.0
    plain = model(**data, mode='loss')
    expected = 10 * plain['loss_mir'] + plain['loss_itm'] + plain['loss_mlm']
    torch.testing.assert_close(total, expected)


def test_every_parameter_learns():
    """Plain DDP would hang on an unused parameter."""
    model = _model(**ITM, **MLM, **MIR)
    sum(model(**_prepare(model), mode='loss').values()).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_predictions():
    model = _model(**ITM, **MLM, **MIR, **CATEGORIES).eval()
    samples = model(**_prepare(model), mode='predict')
    for sample in samples:
        assert 0 < sample.itm_score < 1
        assert sample.reconstruction.shape == (3, 32, 32)
        assert sample.pixels.dtype == torch.uint8
        assert len(sample.word_predictions) == 2
        assert sample.main_category_scores.shape == (3,)
        assert sample.sub_category_scores.shape == (5,)


def test_match_agrees_with_predict_and_runs_no_other_head(monkeypatch):
    model = _model(**ITM, **MLM, **MIR).eval()
    data = _prepare(model)
    scores = [sample.itm_score for sample in model(**data, mode='predict')]
    for part in (model.neck, model.heads.mir, model.heads.mlm):
        monkeypatch.setattr(part, 'forward', None)
    inputs = data['inputs']
    match = model.match(inputs['image'], inputs['token_ids'], inputs['text_mask'])
    torch.testing.assert_close(match.sigmoid(), torch.tensor(scores))


def test_one_sample_and_no_masked_token():
    model = _model(**ITM, **MLM, **MIR).eval()
    data = _data(batch=1)
    data['data_samples'][0].mlm_labels[:] = -1
    data = model.data_preprocessor(data)
    assert model(**data, mode='loss')['loss_mlm'] == 0
    assert len(model(**data, mode='predict')[0].word_predictions) == 0


def test_tensor_mode_gives_features():
    model = _model(**ITM)
    assert len(model(_prepare(model)['inputs']).images) == 4


def test_wrong_use():
    with pytest.raises(ValueError, match='need each other'):
        MVLT(backbone=BACKBONE, neck=dict(type='mvlt.UNet'), heads=ITM)
    with pytest.raises(ValueError, match='need each other'):
        MVLT(backbone=BACKBONE, heads=MIR)
    model = _model(**ITM)
    with pytest.raises(ValueError, match="legal: 'loss', 'predict', 'tensor'"):
        model(_prepare(model)['inputs'], mode='train')
    data = _prepare(model)
    del data['data_samples'][0].matched
    with pytest.raises(KeyError, match="label 'matched'"):
        model(**data, mode='loss')
    with pytest.raises(
        ValueError, match=r'a head that gives match, .*; heads: main_category \(classes\)'
    ):
        _model(**CATEGORIES).match(torch.zeros(1, 3, 32, 32), torch.zeros(1, 2).long(), None)
    with pytest.raises(
        ValueError, match=r'UNet is not a head: it lacks reads, gives, takes; derive'
    ):
        MVLT(backbone=BACKBONE, heads=dict(itm=dict(type='mvlt.UNet')))


def test_activation_checkpointing_gives_the_same_gradients():
    """mmengine's `activation_checkpointing` passes positional arguments only."""
    torch.manual_seed(0)
    model = _model(**ITM, **MIR, **MLM).train()
    inputs = _prepare(model)
    gradients = []
    for twice in (False, True):
        if twice:
            turn_on_activation_checkpointing(
                model, [f'backbone.stages.{i}.layers.0' for i in range(4)]
            )
        model.zero_grad()
        torch.manual_seed(1)  # token dropout
        sum(model(**inputs, mode='loss').values()).backward()
        gradients.append([weight.grad for weight in model.parameters()])
    assert all(map(torch.equal, *gradients))


DUAL = dict(itc=dict(type='mvlt.ITCHead', dims=12))


def _gradients(model, inputs, samples):
    model.zero_grad()
    losses = model.loss(inputs, samples)
    sum(losses.values()).backward()
    return losses, {
        name: w.grad.clone() for name, w in model.named_parameters() if w.grad is not None
    }


@pytest.mark.parametrize('grad_cache_chunk_size', [1, 3, 4, 9])
def test_encoding_by_chunks_gives_the_same_gradients(grad_cache_chunk_size):
    # dropout is the same only in a single chunk
    model = _model(**DUAL).train(grad_cache_chunk_size > 4)
    data = _prepare(model)
    inputs, samples = data['inputs'], data['data_samples']
    inputs['text_mask'] = torch.arange(5) < torch.tensor([5, 4, 3, 2])[:, None]
    torch.manual_seed(3)
    whole = _gradients(model, inputs, samples)
    model.grad_cache_chunk_size = grad_cache_chunk_size
    torch.manual_seed(3)
    again = _gradients(model, inputs, samples)
    torch.testing.assert_close(again, whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('backbone', ['mvlt.PVTVL', 'mvlt.PVTV2VL'])
def test_compiled_parts_are_one_graph_each_and_compute_the_same(backbone):
    torch._dynamo.reset()
    model = MVLT(
        backbone=dict(BACKBONE, type=backbone),
        neck=dict(type='mvlt.UNet'),
        heads={**ITM, **MLM, **MIR, **CATEGORIES, **DUAL},
        data_preprocessor=dict(type='mvlt.PairDataPreprocessor', pad_multiple=8),
    ).eval()  # without dropout
    data = _prepare(model)
    assert data['inputs']['token_ids'].shape[1] == 8
    eager = _gradients(model, data['inputs'], data['data_samples'])
    model.compile_parts(backend='eager')  # fullgraph: a break is an error
    again = _gradients(model, data['inputs'], data['data_samples'])
    torch.testing.assert_close(again, eager, rtol=1e-4, atol=1e-5)
