"""Contract: a stopped and resumed run equals an uninterrupted run bit for bit."""

import random
import shutil

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.engine import WholeCheckpointHook
from mvlt.engine.hooks.checkpoint import newest_checkpoint
from tests.faults.runs import difference

STEPS = 6


def _config(small_config, work_dir, epochs=False, workers=0, **more):
    config = small_config(
        work_dir,
        {
            'train_dataloader.num_workers': workers,
            'default_hooks.checkpoint.max_keep_ckpts': -1,
            'model.backbone.drop_path_rate': 0.3,
            **more,
        },
        STEPS,
    )
    if epochs:  # 24 samples, three steps an epoch: step 4 is in the middle of the second
        config.train_dataloader.dataset.dataset.indices = 24
        config.train_dataloader.sampler = dict(type='EpochSampler', shuffle=True)
        config.train_cfg = dict(type='EpochTrainLoop', max_epochs=STEPS // 3)
    return config


def _end(config, stopped_at=None, of=None):
    """Train to the end, from a checkpoint of another run if given; return the last checkpoint."""
    if stopped_at:
        config.resume, config.load_from = True, str(of / f'iter_{stopped_at}.pth')
        torch.manual_seed(99), np.random.seed(99), random.seed(99)  # of a process of its own
    Runner.from_cfg(config).train()
    return read_checkpoint(f'{config.work_dir}/iter_{STEPS}.pth')


ACCUMULATE = {'optim_wrapper.accumulative_counts': 3}
EMA = dict(type='WeightAverageHook')


@pytest.mark.parametrize(
    ('stopped_at', 'epochs', 'workers', 'more'),
    [
        (1, False, 0, {}),
        (4, False, 2, ACCUMULATE),
        (4, True, 0, ACCUMULATE),
        (4, True, 2, {}),
        (3, True, 0, {}),
    ],
)
def test_resumed_equals_uninterrupted(small_config, tmp_path, stopped_at, epochs, workers, more):
    ends = []
    for name in ('whole', 'resumed'):
        config = _config(small_config, tmp_path / name, epochs, workers, **more)
        config.default_hooks.average = dict(EMA)
        ends.append(_end(config, *(() if name == 'whole' else (stopped_at, tmp_path / 'whole'))))
    for key in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers'):
        assert difference(ends[0][key], ends[1][key]) is None, key
    losses = [end['message_hub']['log_scalars']['train/loss']._log_history for end in ends]
    assert losses[0].tolist() == losses[1].tolist()


def test_queue_momentum_copy_average_and_category_batches_resume(small_config, tmp_path):
    ends = []
    for name in ('whole', 'resumed'):
        config = _config(small_config, tmp_path / name)
        config.model.heads.merge(
            dict(
                itc=dict(type='ITCHead', dims=8, queue=20),
                itm=dict(type='HardITMHead', hidden_dims=16, warmup_steps=4),
            )
        )
        config.train_dataloader.dataset.negative_prob = 0.0
        config.train_dataloader.sampler = dict(type='CategoryBatchSampler', batch_size=8, group=2)
        config.default_hooks.momentum = dict(type='MomentumHook')
        config.default_hooks.average = dict(EMA)
        ends.append(_end(config, *(() if name == 'whole' else (2, tmp_path / 'whole'))))
    assert ends[0]['state_dict']['heads.itc.queued'] == 8 * STEPS
    for key in ('state_dict', 'ema_state_dict', 'optimizer'):
        assert difference(ends[0][key], ends[1][key]) is None, key


def test_mixup_and_prompts_resume(small_config, tmp_path):
    ends = []
    for name in ('whole', 'resumed'):
        config = _config(small_config, tmp_path / name)
        prompts = dict(type='PromptHead', labels=('sub_category',), templates=('{}', 'a {}'))
        config.model.heads.merge(dict(itc=dict(type='ITCHead', dims=8), prompts=prompts))
        config.model.data_preprocessor.mixup = 0.5
        config.default_hooks.prompts = dict(type='PromptsHook')
        ends.append(_end(config, *(() if name == 'whole' else (2, tmp_path / 'whole'))))
    for key in ('state_dict', 'optimizer'):
        assert difference(ends[0][key], ends[1][key]) is None, key


def test_a_best_checkpoint_between_epochs_skips_nothing(small_config, tmp_path):
    """An evaluation after the first epoch saves a second checkpoint."""
    config = _config(small_config, tmp_path / 'whole', epochs=True)
    config.default_hooks.checkpoint.update(save_best='score', rule='greater')
    runner = Runner.from_cfg(config)
    hook = next(item for item in runner._hooks if isinstance(item, WholeCheckpointHook))

    class Evaluate(Hook):
        priority = 'LOWEST'

        def before_train_epoch(self, runner):
            if runner.epoch == 1:
                hook.after_val_epoch(runner, dict(score=0.5))

    runner.register_hook(Evaluate())
    runner.train()
    meta = read_checkpoint(str(tmp_path / 'whole/iter_3.pth'))['meta']
    assert (meta['epoch'], meta['iter'], meta['samples_done']) == (1, 3, 0)
    resumed = _config(small_config, tmp_path / 'resumed', epochs=True)
    end = _end(resumed, 3, tmp_path / 'whole')
    whole = read_checkpoint(str(tmp_path / 'whole/iter_6.pth'))
    assert difference(end['state_dict'], whole['state_dict']) is None


def test_the_newest_whole_checkpoint_is_taken(small_config, tmp_path):
    assert newest_checkpoint(tmp_path) is None
    _end(_config(small_config, tmp_path / 'run'))
    folder = tmp_path / 'run'
    whole = folder / 'iter_5.pth'
    (folder / 'iter_6.pth').write_bytes(whole.read_bytes()[:-1000])
    torch.save(dict(state_dict={}), folder / 'iter_7.pth')
    (folder / 'iter_8.pth').touch()
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_6.pth'))
    assert newest_checkpoint(folder) == str(whole)
    shutil.rmtree(folder)
