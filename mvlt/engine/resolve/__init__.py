"""The only code that changes a config: it adds what command line, model and data decide.

    config = resolve(load_config('mvlt/recognition_catalogue', data_root='shop'))

The resolved config runs. It is dumped into the work dir and stored in checkpoints and
``results.json``. Its key ``resolved`` lists the changes, a line each. A config with that key is the
dump of a run; it runs again even if ``products.json`` has changed.

A config with a ``model`` is a recipe: a checkpoint must fit it. A config without is a protocol: it
tests the model of a given folder or checkpoint, and trains it if it has a ``train_dataloader``.
"""

import copy
from typing import Literal

from mmengine.config import Config

from mvlt.checkpoints.weights import read_weights
from mvlt.engine.resolve.data import settle_data
from mvlt.engine.resolve.model import reads_weights, take_start, take_tested
from mvlt.engine.resolve.run import Run, datasets_of
from mvlt.engine.resolve.start import settle_forms, settle_runtime, work_dir_of

__all__ = ['Task', 'datasets_of', 'reads_weights', 'resolve', 'work_dir_of']

Task = Literal['train', 'test', 'data']


def resolve(
    config: Config,
    task: Task = 'train',
    model: str | None = None,
    *,
    resume: str | None = None,
    work_dir: str | None = None,
    launcher: str = 'none',
    amp: bool = False,
) -> Config:
    """The config that runs; ``config`` is not changed.

    Args:
        config: of :func:`mvlt.config.load_config`, or the dump of a run.
        task: 'train'; 'test', which needs ``model`` or a config with a model; 'data': only what
            the data decide.
        model: a model folder or checkpoint: the tested model, or the start of a training, which
            replaces the config's ``load_from``.
        resume: the checkpoint to resume from.
        work_dir: None = the config's, else work_dirs/<name of its file>.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        amp: train in bfloat16.

    Raises:
        FileNotFoundError, KeyError, ValueError: wrong data; a model that does not fit; a protocol
            and the task 'train'.
    """
    config = copy.deepcopy(config)
    run = Run(config)
    settle_forms(run)
    settle_runtime(run, work_dir, launcher, amp)
    weights = None
    if task == 'test':
        weights = read_weights(model) if model else None
        take_tested(run, weights)
    elif task == 'train':
        if config.get('model') is None and not config.get('train_dataloader'):
            raise ValueError(
                f'{config.filename} is a protocol, it has no model to train; take a recipe, e.g. '
                'configs/mvlt/dual_encoder_catalogue.py'
            )
        if start := resume or model or config.get('load_from'):
            weights = read_weights(start)
        take_start(run, weights, bool(resume))
    settle_data(run, weights, task, bool(resume))
    config.resolved = run.changes
    return config
