"""Train a config.

tools/train.py configs/mvlt/pretrain_catalogue.py --data-root MY_CATALOGUE
tools/train.py CONFIG --resume          # resume from the last checkpoint of the work dir
tools/train.py CONFIG --from MODEL      # start from a published model folder or a checkpoint
"""

import argparse
import os
import sys
from contextlib import nullcontext

import torch

from mvlt.engine.hooks.checkpoint import newest_checkpoint
from mvlt.engine.launch import build_runner
from mvlt.engine.resolve import work_dir_of
from mvlt.files import sole_process
from mvlt.tools.command_line import add_options, config_from, run_command


def main() -> None:
    """Parse, resolve the config, run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='without a value: resume from the newest whole checkpoint in the work dir, or start '
        'as the config says if it has none; with a value: resume from that checkpoint',
    )
    parser.add_argument(
        '--from',
        dest='start',
        metavar='MODEL',
        help='start from a published model folder or a checkpoint of the same recipe, with its '
        'tokenizer; classes are matched by name. Default: load_from of the config',
    )
    parser.add_argument('--amp', action='store_true', help='train in bfloat16')
    args = parser.parse_args()
    config = config_from(args)
    work_dir = work_dir_of(config, args.work_dir)
    checkpoint = args.resume
    if int(os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)):  # restarted by torchrun
        launched = float(os.environ.get('MVLT_LAUNCHED', 0))
        checkpoint = newest_checkpoint(work_dir, since=launched) or checkpoint
    # the dump of a resumed run
    if checkpoint is None and config.get('resume') and not args.start:
        checkpoint = config.get('load_from') or 'auto'
    if checkpoint == 'auto':
        checkpoint = newest_checkpoint(work_dir)
    ranks = (os.environ.get(name) for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'))
    first = int(next(filter(None, ranks), 0)) == 0
    if first and (warning := busy_cores()):
        print(f'warning: {warning}', file=sys.stderr)
    lock = sole_process(f'{work_dir}/.lock', 'trains into it')
    with lock if first else nullcontext():
        build_runner(
            config,
            'train',
            args.start,
            resume=checkpoint,
            work_dir=work_dir,
            launcher=args.launcher,
            amp=args.amp,
        ).train()


def busy_cores() -> str | None:
    """A warning if other programs keep the cores of this machine busy, else None.

    The threads of a program wait for each other at every operation: one thread without a core
    delays all. A step took seven times as long (docs/results/2026-11-28-new-users.md).
    """
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    busy = os.getloadavg()[0] if hasattr(os, 'getloadavg') else 0.0
    if torch.cuda.is_available() or threads == 1 or busy < cores / 2:
        return None
    return (
        f'other programs use {busy:.1f} of {cores} cores, which slows {threads} threads many '
        'times; stop, and put OMP_NUM_THREADS=1 in front of the command'
    )


if __name__ == '__main__':
    run_command(main)
