"""Evaluate a checkpoint as a config describes, and write ``results.json`` into the work dir.

tools/test.py configs/mvlt/retrieval_fashiongen.py CHECKPOINT
tools/test.py configs/mvlt/retrieval_full_fashiongen.py CHECKPOINT --rerank 100
"""

import argparse

from mvlt.command_line import add_options, config_from, run_command
from mvlt.engine.launch import build_runner
from mvlt.engine.results import write_results
from mvlt.trained.folder import use_checkpoint


def main() -> None:
    """Parse, settle the config, run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument('checkpoint', help='.pth, .safetensors or a published model folder')
    parser.add_argument(
        '--rerank',
        type=int,
        metavar='K',
        help='full ranking: exact scores only for the K best of a cheap scorer',
    )
    args = parser.parse_args()
    if args.rerank is not None:
        args.cfg_options['test_cfg.rerank'] = args.rerank
    config = config_from(args)
    config.resume = False
    weights = use_checkpoint(config, args.checkpoint)
    runner = build_runner(config, args.launcher)
    metrics = runner.test()
    write_results(runner, metrics, args.config, weights)


if __name__ == '__main__':
    run_command(main)
