"""Contract: steps run over all streams of a record; the pair alone stays the same."""

import json

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from PIL import Image

from mvlt.datasets import PairJSON, Pipeline, TarPairs, Tokenize
from mvlt.models import PairDataPreprocessor
from mvlt.structures import Batch

STEPS = dict(
    load=dict(type='LoadImage'),
    resize=dict(type='Resize', scale=(32, 32), keep_ratio=False, backend='pillow'),
    pack=dict(type='PackPairInputs'),
)


@pytest.fixture
def steps(demo_data):
    words = dict(tokenizer=str(demo_data / 'tokenizer'))
    tokenize = dict(type='Tokenize', max_length=24, **words)
    return dict(STEPS, tokenize=tokenize, words=dict(type='MaskWords', ratio=0.5, **words))


def _ordered(steps, **changed):
    """Steps with ``pack`` at the end."""
    steps = {**steps, **changed}
    return {**{name: step for name, step in steps.items() if name != 'pack'}, 'pack': steps['pack']}


def _record(side=48):
    rng = np.random.default_rng(0)
    first, second, third = rng.integers(0, 256, (3, side, 40, 3), np.uint8)
    return dict(
        img=first,
        caption='a red wool bag',
        product_id='1',
        images=dict(reference=second, teacher=dict(img=third)),
        texts=dict(change='in blue, with stripes'),
    )


def test_every_stream_is_read_and_packed(steps, tmp_path):
    record = _record()
    Image.fromarray(record['images']['reference']).save(tmp_path / 'a.png')
    record['images']['reference'] = str(tmp_path / 'a.png')
    pipeline = Pipeline(_ordered(steps))
    inputs = pipeline(record)['inputs']
    assert inputs['image'].shape == inputs['images']['reference'].shape == (3, 32, 32)
    assert set(inputs['images']) == {'reference', 'teacher'}
    assert inputs['texts']['change'].dtype == torch.int64
    assert isinstance(record['images']['reference'], str)  # a record stays as it is
    pair_pipeline = Pipeline(_ordered(steps, words=None))
    alone = pair_pipeline(
        dict(img=_record()['images']['reference'], caption='in blue, with stripes')
    )
    assert torch.equal(inputs['images']['reference'], alone['inputs']['image'])
    whole = pair_pipeline(_record())['inputs']
    assert torch.equal(whole['texts']['change'], alone['inputs']['token_ids'])


def test_a_pair_by_its_streams_is_the_pair(steps):
    record = _record()
    pair = {key: record[key] for key in ('img', 'caption', 'product_id')}
    streams = dict(product_id='1', images=dict(image=pair['img']), texts=dict(text=pair['caption']))
    outputs = []
    for record in (pair, streams):
        np.random.seed(0)
        outputs.append(Pipeline(_ordered(steps))(record))
    for key in ('image', 'token_ids'):
        assert torch.equal(outputs[0]['inputs'][key], outputs[1]['inputs'][key])
    assert torch.equal(outputs[0]['data_samples'].mlm_labels, outputs[1]['data_samples'].mlm_labels)


def test_a_step_changes_the_streams_that_it_names(steps):
    larger = dict(steps['resize'], scale=(64, 64), streams=('teacher',))
    pipeline = Pipeline(
        _ordered(
            dict(load=steps['load'], resize=dict(steps['resize'], streams=('image', 'reference'))),
            larger=larger,
            tokenize=dict(steps['tokenize']),
            pack=steps['pack'],
        )
    )
    inputs = pipeline(_record())['inputs']
    assert inputs['image'].shape == inputs['images']['reference'].shape == (3, 32, 32)
    assert inputs['images']['teacher'].shape == (3, 64, 64)
    before, behind = pipeline.around(Tokenize)  # steps keep their streams
    assert behind(before(_record()))['inputs']['images']['teacher'].shape == (3, 64, 64)
    with pytest.raises(KeyError, match="no images stream 'teacher'; it has image, reference"):
        record = _record()
        del record['images']['teacher']
        pipeline(record)
    with pytest.raises(KeyError, match="no images stream 'reference'; it has image"):
        pipeline(dict(img=_record()['img'], caption='a'))


def test_batches_of_streams(steps):
    """Masks of each stream, and what a head of another stream reads."""
    mask = dict(type='RandomGridMask', ratio=0.5, alpha=2)
    pipeline = Pipeline(_ordered(steps, mask=mask))
    data = pseudo_collate([pipeline(_record()) for _ in range(2)])
    prepared = PairDataPreprocessor()(data)
    inputs = prepared['inputs']
    batch = Batch(inputs, prepared['data_samples'])
    assert set(inputs['images']['reference']) == {'pixels', 'image', 'image_mask', 'whole_image'}
    assert set(inputs['texts']['change']) == {'token_ids', 'text_mask', 'whole_token_ids'}
    sample = prepared['data_samples'][0]
    assert not torch.equal(sample.image_mask, sample.reference_image_mask)
    other = batch.of(image='reference', text='change')
    assert torch.equal(other.image_mask[0], sample.reference_image_mask)
    assert torch.equal(other.pixels, inputs['images']['reference']['pixels'] / 255)
    indices, masked = other.masked_tokens()
    whole = inputs['texts']['change']['whole_token_ids'].flatten()
    assert len(masked) and torch.equal(whole[indices], masked)
    assert batch.of().masked_tokens()[1].tolist() == batch.masked_tokens()[1].tolist()
    with pytest.raises(KeyError, match="no texts stream 'title'; it has text, change"):
        batch.of(text='title')


def test_streams_of_a_json_file(tmp_path, steps):
    for name in 'ab':
        Image.new('RGB', (32, 32)).save(tmp_path / f'{name}.png')
    record = dict(image='a.png', caption='a bag', product_id='1', other='b.png', change='in blue')
    (tmp_path / 'train.json').write_text(json.dumps(dict(records=[record])))
    settings = dict(ann_file='train.json', data_root=str(tmp_path), pipeline=_ordered(steps))
    dataset = PairJSON(**settings, images=('other',), texts=('change',))
    info = dataset.get_data_info(0)
    assert info['texts'] == dict(change='in blue')
    assert info['images']['other']['img_path'].endswith('b.png')
    assert set(dataset[0]['inputs']) == {'image', 'token_ids', 'images', 'texts'}
    with pytest.raises(KeyError, match=r"PairJSON.images: 'view'; the records of .* have image"):
        PairJSON(**settings, images=('view',))
    record['other'] = 'c.png'
    (tmp_path / 'train.json').write_text(json.dumps(dict(records=[record])))
    with pytest.raises(FileNotFoundError, match=r'c\.png'):
        PairJSON(**settings, images=('other',))
    with pytest.raises(ValueError, match='TarPairs.images: a sample has one image'):
        TarPairs(ann_file='train-*.tar', images=('other',))
