"""The only code that changes a config: what command line, model and data settle is written into it.

    config = resolve(load_config('mvlt/recognition_catalogue', data_root='shop'))

What comes out is the run: it is what is dumped into the work dir, kept in checkpoints and told in
``results.json``. Its key ``resolved`` lists what was changed, a line each; a config that has it is
the dump of a run, and runs again whatever has become of ``products.json``.

A config with a ``model`` is a recipe: a checkpoint must fit it. One without is a protocol: it tests
the model of the folder or checkpoint that is named.
"""

import copy
from typing import Literal

from mmengine.config import Config

from mvlt.checkpoints.weights import read_weights
from mvlt.engine.resolve.data import settle_data
from mvlt.engine.resolve.model import reads_weights, take_start, take_tested
from mvlt.engine.resolve.run import Run, datasets_of
from mvlt.engine.resolve.start import place_of, settle_forms, settle_place

__all__ = ['Task', 'datasets_of', 'place_of', 'reads_weights', 'resolve']

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
    """The config that runs; ``config`` itself stays as it was read.

    Args:
        config: of :func:`mvlt.config.load_config`, or the dump of a run.
        task: 'train'; 'test', which needs ``model`` or a config with one; 'data': only what the
            data settle.
        model: a model folder or checkpoint: what is tested, or what training starts from, in the
            place of the config's ``load_from``.
        resume: the checkpoint that a training goes on from.
        work_dir: None = the config's, else work_dirs/<name of its file>.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        amp: train in bfloat16.

    Raises:
        FileNotFoundError, KeyError, ValueError: the data are wrong; the model does not fit; a
            protocol is to be trained.
    """
    config = copy.deepcopy(config)
    run = Run(config)
    settle_forms(run)
    settle_place(run, work_dir, launcher, amp)
    weights = None
    if task == 'test':
        weights = read_weights(model) if model else None
        take_tested(run, weights)
    elif task == 'train':
        if config.get('model') is None:
            raise ValueError(
                f'{config.filename} is a protocol, it has no model to train; take a recipe, e.g. '
                'configs/mvlt/dual_encoder_catalogue.py'
            )
        start = model or config.get('load_from')
        if resume:
            weights = read_weights(resume)
        elif start:
            weights = read_weights(start)
        take_start(run, weights, bool(resume))
    settle_data(run, weights, task, bool(resume))
    config.resolved = run.changes
    return config
