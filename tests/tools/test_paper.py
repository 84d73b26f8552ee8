"""Contract: a table's row is a plan of commands; finished steps are skipped."""

import argparse
import json
from pathlib import Path

import pytest

from mvlt.config import load_config
from mvlt.tools import run_plan
from mvlt.tools.paper import _rows, config_of, plan, shorter
from tests.commands import run_here


def _args(work_dir, **more):
    settings = dict(
        work_dir=work_dir,
        data='catalogue',
        data_root=None,
        protocols=['101'],
        finetune=False,
        no_recognition=False,
        gpus=1,
        length=None,
        tune_length=None,
        cfg_options={},
        test_options={},
    )
    return argparse.Namespace(**{**settings, **more})


@pytest.mark.parametrize(
    ('row', 'data', 'name'),
    [
        ('final', 'catalogue', 'pretrain_catalogue'),
        ('d1', 'fashiongen', 'ablations/d1_itm'),
        ('c2', 'fashiongen', 'ablations/c2_stroke'),
        ('c2_stroke_released', 'fashiongen', 'ablations/c2_stroke_released'),
        ('e1', 'catalogue', 'ablations/catalogue/e1_without_pvt'),
        ('features_clusters', 'catalogue', 'ablations/catalogue/features_clusters'),
    ],
)
def test_rows_have_configs(row, data, name):
    assert str(config_of(row, data)).endswith(f'configs/mvlt/{name}.py')


def test_unknown_row():
    with pytest.raises(ValueError, match='no such row; legal: final, a1_ratio_10'):
        config_of('z9', 'catalogue')


def test_the_plan_of_a_row(tmp_path):
    args = _args(tmp_path, finetune=True, protocols=['101', 'full'], length=50, tune_length=20)
    steps = list(plan('d1', 3, args))
    assert [step.kind for step in steps] == [
        *('pretrain', '101_test', 'full_test', 'finetune', '101_finetune_test'),
        *('full_finetune_test', 'recognition', 'recognition_test'),
    ]
    pretrain, test, _, tune, tuned_test, _, recognition, _ = steps
    assert tune.needs == recognition.needs == test.needs == pretrain.result
    assert pretrain.result == tmp_path / 'd1_itm_seed_3/pretrain/iter_50.pth'
    assert pretrain.needs is None and tuned_test.needs == tune.result
    configs = {step.kind: load_config(step.command[1]) for step in steps}
    assert all(config.randomness.seed == 3 for config in configs.values())
    assert configs['pretrain'].model.heads.mir is None  # the row's own change
    assert configs['pretrain'].train_cfg.max_iters == 50
    assert configs['recognition'].load_from == str(pretrain.result)
    assert recognition.result.name == 'iter_20.pth'
    assert configs['full_test'].get('model') is None  # a protocol: the checkpoint's own
    # mmengine names runs after the file, by which the tables know the row
    assert Path(pretrain.command[1]).stem == 'd1_itm'


def test_tasks_take_the_model_of_the_row(tmp_path):
    steps = {step.kind: step for step in plan('e1_with_pvt', 0, _args(tmp_path))}
    backbone = load_config(steps['recognition'].command[1]).model.backbone
    assert 'depths' not in backbone and backbone.init_cfg is None  # PVT-Tiny's
    assert load_config(steps['pretrain'].command[1]).model.backbone.init_cfg is not None


def test_omitted_steps_and_rows(tmp_path):
    steps = plan('final', 0, _args(tmp_path, no_recognition=True))
    assert [step.kind for step in steps] == ['pretrain', '101_test']
    assert 'e1' not in _rows('table3', 'catalogue') and 'e1' in _rows('table3', 'fashiongen')
    with pytest.raises(ValueError, match='pre-training at 32 pixels, but .* reads 64'):
        list(plan('final', 1, _args(tmp_path, cfg_options={'model.backbone.image_size': 32})))


@pytest.mark.parametrize(
    ('name', 'length', 'begins'),
    [
        ('pretrain_catalogue', 300, 100),
        ('pretrain_catalogue', 50, 25),
        ('pretrain_fashiongen', 20, 5),
        ('pretrain_fashiongen', None, 5),
    ],
)
def test_another_length(name, length, begins):
    config = load_config(f'mvlt/{name}')
    if length:
        config = load_config(f'mvlt/{name}', shorter(config, length))
    warmup, decay = config.param_scheduler.warmup, config.param_scheduler.decay
    assert (warmup.begin, warmup.end, decay.begin) == (0, begins, begins)
    assert 'end' not in decay and 'T_max' not in decay  # it ends with the training
    if length:
        assert length in config.train_cfg.values()
        assert config.default_hooks.checkpoint.interval <= length
        with pytest.raises(ValueError, match='give at least 2'):
            shorter(config, 1)


@pytest.fixture
def _steps_run_here(monkeypatch):
    def execute(step, command, *more):
        done = run_here(*command[1:])
        step.folder.joinpath('output.txt').write_text(done.stdout + done.stderr)
        return done.returncode

    monkeypatch.setattr(run_plan, '_execute', execute)


def test_a_real_row(catalogue, tmp_path, _steps_run_here):
    """Two steps of each training; a second call skips all and prints the same table."""
    columns = dict(image='image', product_id='id', main_category='kind', sub_category='sub')
    description = dict(columns=columns, caption='{title}. {colour}')
    (catalogue / 'products.json').write_text(json.dumps(description))
    command = [
        *('tools/paper.py', 'table2', '--data-root', catalogue),
        *('--work-dir', tmp_path / 'paper', '--length', 2, '--tune-length', 2),
        *('--format', 'markdown', '--protocols', 'full'),
        *('--cfg-options', 'train_dataloader.batch_size=4', 'model.backbone.depths=(1,1,1,1)'),
        *('--test-options', 'test_cfg.batch_size=8'),
    ]
    outputs = []
    for _ in range(2):
        done = run_here(*command)
        assert done.returncode == 0, done.stderr[-2000:]
        outputs.append(done.stdout)
    assert outputs[1].count(': done before') == 4
    tables = [output.partition('data_root')[2] for output in outputs]
    assert tables[0] == tables[1]
    assert '| TIR R@1 (full) |' in tables[0] and '| S-CR SumC |' in tables[0]
