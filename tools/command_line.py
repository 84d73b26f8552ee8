"""Options that tools/train.py and tools/test.py share."""

import argparse
import atexit
import os
import sys
from collections.abc import Callable

from mmengine.config import Config, DictAction
from torch import distributed as dist

from mvlt.config import load_config


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add OpenMMLab's usual options."""
    parser.add_argument('config', help='a config file, e.g. configs/mvlt/pretrain_fashiongen.py')
    parser.add_argument('--work-dir', help='logs, checkpoints, results; default work_dirs/<config>')
    parser.add_argument(
        '--data-root', help='replaces the data_root of the config at the start of every path'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='override values, e.g. train_dataloader.batch_size=32; unknown keys are refused',
    )
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def config_from(args: argparse.Namespace) -> Config:
    """The config of parsed options."""
    sys.path.insert(0, os.getcwd())  # the user's own modules
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return load_config(args.config, args.cfg_options, args.data_root)


def run_command(main: Callable[[], None]) -> None:
    """Run a tool; a user's mistake ends it with one line and status 2, without a traceback.

    Ctrl-C ends it with status 130, SIGTERM ends a training with 143. Processes of one launch end
    together. ``MVLT_TRACEBACK=1`` shows the traceback.
    """
    # Large allocations then use 2 MB pages: 15 % more training steps on one CPU thread
    # (docs/benchmarks). PyTorch reads this at its first tensor; a user's value stands.
    os.environ.setdefault('THP_MEM_ALLOC_ENABLE', '1')
    try:
        main()
        _leave_group()
    except KeyboardInterrupt as error:
        print(f'stopped: {error}' if str(error) else 'stopped', file=sys.stderr)
        sys.exit(128 + getattr(error, 'signal', 2))  # as shells report a signal
    except RuntimeError as error:
        if not str(error).startswith('DataLoader worker') or os.environ.get('MVLT_TRACEBACK'):
            raise
        print(
            f'error: {str(error).splitlines()[0]} (out of memory, or killed by hand); resume a '
            'training with --resume',
            file=sys.stderr,
        )
        sys.exit(1)
    except (KeyError, ValueError, OSError, FloatingPointError) as error:
        if os.environ.get('MVLT_TRACEBACK'):
            raise
        message = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
        if message.startswith('Caught '):  # in a data worker, with its traceback
            message = message.strip().splitlines()[-1].partition(': ')[2]
        print(f'error: {message}', file=sys.stderr)
        sys.exit(2)


def _leave_group() -> None:
    """Wait for the other ranks, then close the connections.

    A process that exits with open connections sometimes aborts, and torchrun then kills the main
    process before it has written its results. Even after closing, a thread of the library may
    outlive the interpreter ("terminate called without an active exception"): run the exit
    functions here and exit at once.
    """
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
