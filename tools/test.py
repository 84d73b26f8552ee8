"""Evaluate a model by a config, and write ``results.json`` into the work dir.

A protocol (a config without a model) tests any model. A recipe tests its own checkpoints only.

tools/test.py configs/mvlt/retrieval_fashiongen.py CHECKPOINT
tools/test.py configs/mvlt/retrieval_full_fashiongen.py CHECKPOINT --rerank-topk 100
"""

import argparse
from pathlib import Path

from mmengine.dist import is_main_process

from mvlt.engine.launch import build_runner
from mvlt.engine.resolve import reads_weights
from mvlt.files import read_json
from mvlt.tools.command_line import add_options, config_from, run_command


def main() -> None:
    """Parse, resolve the config, run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument(
        'checkpoint',
        help=".pth, .safetensors or a published model folder; 'none' if the config's model reads "
        'its weights itself, e.g. from a folder of transformers',
    )
    parser.add_argument(
        '--rerank-topk',
        '--rerank',
        type=int,
        metavar='K',
        help='rankings: rerank the K nearest by embedding with the matching head',
    )
    args = parser.parse_args()
    if args.rerank_topk is not None:
        args.cfg_options['test_cfg.rerank_topk'] = args.rerank_topk
    config = config_from(args)
    model = None if args.checkpoint == 'none' else args.checkpoint
    if model is None and config.get('model') and not reads_weights(config.model):
        raise ValueError(
            f'none: the model of {args.config} reads no weights itself, so its weights would be '
            'random; name a checkpoint'
        )
    runner = build_runner(config, 'test', model, work_dir=args.work_dir, launcher=args.launcher)
    runner.test()
    path = Path(runner.work_dir) / 'results.json'
    if is_main_process() and path.is_file() and not read_json(str(path), '')['floors']:
        runner.logger.info(
            f'no floors are stored to compare with: tools/analysis_tools/floors.py {args.config}'
        )


if __name__ == '__main__':
    run_command(main)
