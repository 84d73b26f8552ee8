"""Contract: a checkpoint becomes a model folder that all tools accept, with its results."""

import json

import pytest
import torch
import yaml
from safetensors.torch import load_file

import mvlt
from mvlt.apis import CategoryInferencer, MatchingInferencer
from mvlt.checkpoints.checkpoint import run_of
from mvlt.engine.launch import build_runner
from mvlt.files import file_sha256
from tests.commands import run_here


def _publish(*args):
    return run_here('tools/model_converters/publish.py', *args)


@pytest.fixture(scope='module')
def trained(small_config, tmp_path_factory):
    """Two steps of the demo's pre-training, tiny."""
    work_dir = tmp_path_factory.mktemp('trained')
    build_runner(small_config(work_dir, {'train_dataloader.batch_size': 4}, steps=2)).train()
    return work_dir / 'iter_2.pth'


@pytest.fixture(scope='module')
def published(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp('out')
    results = folder / 'results.json'
    results.write_text(
        json.dumps(
            dict(
                checkpoint_sha256=file_sha256(trained),
                checkpoint=str(trained),
                config='some.py',
                metrics={'retrieval/tir/R@1': 12.5},
                protocol=dict(name='101', rows=9),
                data=dict(ann_file='a.csv', split='test'),
            )
        )
    )
    done = _publish(
        trained,
        folder / 'model',
        '--results',
        results,
        '--licence',
        'CC-BY-4.0',
        '--data',
        'drawn products',
    )
    assert done.returncode == 0, done.stderr
    return folder / 'model'


def test_weights_and_card(published, trained):
    stored = torch.load(trained, weights_only=False)['state_dict']
    ours = load_file(published / 'model.safetensors')
    assert ours.keys() == stored.keys()
    assert all(torch.equal(ours[key], stored[key]) for key in ours)
    run = run_of(str(published / 'model.safetensors'))  # names the row of the folder's results
    assert run == run_of(str(trained)) and run['iter'] == 2
    card = (published / 'README.md').read_text()
    front = yaml.safe_load(card.split('---')[1])
    assert front['license'] == 'cc-by-4.0' and front['library_name'] == 'mvlt'
    for line in ('| retrieval/tir/R@1 | 12.5 |', 'drawn products', 'Steps: 2; seed: 0'):
        assert line in card


def test_it_answers(published, trained, tmp_path):
    from PIL import Image

    Image.new('RGB', (30, 40)).save(tmp_path / 'a.png')
    assert 'itm' in mvlt.get_model(trained).heads
    result = MatchingInferencer(published, device='cpu')(tmp_path / 'a.png', 'a bag')
    assert 0 < result['predictions'][0]['itm_score'] < 1
    with pytest.raises(ValueError, match='no head of categories; it has mir, itm, mlm'):
        CategoryInferencer(published, device='cpu')


def test_a_config_and_a_checkpoint_answer_the_same(published, trained, demo_data, tmp_path):
    """Without a folder: the dumped config of the run beside its checkpoint."""
    import numpy as np

    image = np.full((40, 30, 3), 90, np.uint8)
    dumped = next(trained.parent.glob('*.py'))
    ours = MatchingInferencer(dumped, str(trained), device='cpu')(image, 'a red bag')
    assert ours == MatchingInferencer(published, device='cpu')(image, 'a red bag')
    assert ours == MatchingInferencer(trained, device='cpu')(image, 'a red bag')
    # a packaged config does not know where the training's tokenizer lies; the checkpoint does
    assert ours == MatchingInferencer(dumped, str(trained), device='cpu')(image, 'a red bag')
    with pytest.raises(ValueError, match='is a config: name weights=CHECKPOINT too'):
        MatchingInferencer(dumped)
    with pytest.raises(ValueError, match='brings its own weights'):
        MatchingInferencer(published, str(trained))


def test_it_is_tested_and_trained_on(published, demo_data, tmp_path):
    options = ['--data-root', demo_data, '--cfg-options']
    done = run_here(
        'tools/test.py',
        'demo/retrieval_demo',
        published,
        '--work-dir',
        tmp_path / 'test',
        *options,
        'test_cfg.num_queries=3',
        'test_cfg.num_candidates=9',
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads((tmp_path / 'test/results.json').read_text())
    assert results['checkpoint_sha256'] == file_sha256(published / 'model.safetensors')
    done = run_here(
        'tools/train.py',
        'demo/pretrain_demo',
        '--from',
        published,
        '--work-dir',
        tmp_path / 'train',
        *options,
        'train_cfg.max_iters=1',
        'train_dataloader.batch_size=4',
        'default_hooks.checkpoint.interval=1',
        *('model.backbone.embed_dims=(8,16,24,32)', 'model.backbone.num_heads=(1,1,1,1)'),
        *('model.backbone.depths=(1,1,1,1)', 'model.neck.channels=None'),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'left at random: nothing' in done.stdout + done.stderr
    state = torch.load(tmp_path / 'train/iter_1.pth', weights_only=False)['state_dict']
    assert state['backbone.words.words.weight'].shape == (1000, 128)
    assert state['backbone.stages.0.layers.0.norm1.weight'].shape == (8,)


def test_mistakes_are_named(published, trained, tmp_path):
    done = _publish(trained, published)
    assert done.returncode == 2 and 'is not empty' in done.stderr
    done = _publish(tmp_path / 'none.pth', tmp_path / 'out')
    assert done.returncode == 2 and 'none.pth: no such checkpoint' in done.stderr
    done = _publish(published / 'model.safetensors', tmp_path / 'out')
    assert done.returncode == 2 and 'name the config file too' in done.stderr
    (tmp_path / 'results.json').write_text('{"checkpoint_sha256": "0", "checkpoint": "b.pth"}')
    done = _publish(trained, tmp_path / 'out', '--results', tmp_path / 'results.json')
    assert done.returncode == 2 and 'results of another checkpoint (b.pth)' in done.stderr
    done = _publish(trained, tmp_path / 'out', '--tokenizer', tmp_path)
    assert done.returncode == 2 and 'is missing; name its folder' in done.stderr
    assert not (tmp_path / 'out').exists()
