"""Contract: schedulers, hooks and validation take the forms that mmengine reads."""

from mvlt.config import load_config
from mvlt.engine import resolve


def test_schedulers_that_begin_after_the_training_are_dropped(tmp_path):
    def schedulers(name, options):
        return resolve(load_config(name, options), 'data').param_scheduler

    name = 'configs/demo/pretrain_demo.py'
    steps = schedulers(name, {'train_cfg.max_iters': 50})
    (scheduler,) = steps  # decay begins at 100
    assert scheduler.type.endswith('.LinearLR')
    load_config(name).dump(tmp_path / 'dump.py')
    assert schedulers(tmp_path / 'dump.py', {'train_cfg.max_iters': 50}) == steps
    path = 'configs/mvlt/pretrain_fashiongen.py'
    by_steps = {'param_scheduler.decay.by_epoch': False, 'param_scheduler.decay.begin': 500}
    assert len(schedulers(path, by_steps)) == 2  # of 150 epochs
    assert len(schedulers(path, {'param_scheduler.decay': None})) == 1


def test_val_cfg_and_hooks_may_be_none():
    options = {'val_cfg': None, 'default_hooks.results': None}
    config = resolve(load_config('demo/pretrain_demo', options), 'data')
    assert config.val_dataloader is None and config.val_evaluator is None
    assert 'results' not in config.default_hooks
