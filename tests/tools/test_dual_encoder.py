"""Contract: the tools work with a dual encoder, from training to an index."""

import json
import re

import pytest

from mvlt.retrieval.index import open_index
from tests.commands import run_here
from tests.small_model import DUAL

CONFIG = f"""
from mmengine.config import read_base

with read_base():
    from mvlt.configs.mvlt.dual_encoder_catalogue_scratch import *

model.backbone = {DUAL!r}
test_dataloader.dataset.split = 'all'
test_cfg.num_queries = 4
test_cfg.num_candidates = 3
"""
OPTIONS = (
    *('train_cfg.max_iters=2', 'param_scheduler.warmup.end=1', 'param_scheduler.decay.begin=1'),
    *('train_dataloader.batch_size=6', 'val_cfg=None', 'val_dataloader=None'),
    *('val_evaluator=None', 'default_hooks.checkpoint.save_best=None'),
    *('default_hooks.checkpoint.interval=2', 'default_hooks.tokenizer.train_size=400'),
    'train_dataloader.dataset.pipeline.tokenize.max_length=24',
    'test_dataloader.dataset.pipeline.tokenize.max_length=24',
)


def _run(*arguments):
    done = run_here(*arguments)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'dual.py'
    path.write_text(CONFIG)
    return path


def test_from_training_to_an_index(config, catalogue, tmp_path):
    work, folder = tmp_path / 'work', tmp_path / 'model'
    shop = ('--data-root', catalogue)
    _run('tools/train.py', config, *shop, '--work-dir', work, '--cfg-options', *OPTIONS)
    checkpoint = work / 'iter_2.pth'
    tested = _run('tools/test.py', config, checkpoint, *shop, '--work-dir', tmp_path / 'a')
    _run('tools/model_converters/publish.py', checkpoint, folder)
    assert json.loads((folder / 'config.json').read_text())['model']['backbone']['type'] == (
        'DualEncoder'
    )
    again = _run('tools/test.py', config, folder, *shop, '--work-dir', tmp_path / 'b')
    first, second = (re.findall(r'retrieval/\S+: [\d.]+', output) for output in (tested, again))
    assert first and first == second
    _run('tools/build_index.py', folder, catalogue, tmp_path / 'index')
    assert open_index(tmp_path / 'index').count() == 20
    figures = tmp_path / 'drawn'
    for kind in ('retrieval', 'recognition'):
        asked = ('--pool', 6, '--count', 2, '--out', figures / kind)
        _run('tools/visualize.py', kind, config, folder, *shop, *asked)
        assert list((figures / kind).glob('*.png'))
