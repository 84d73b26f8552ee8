"""Make the search index of a catalogue, or bring it to what the catalogue says now.

    tools/build_index.py MY_MODEL MY_CATALOGUE/products.csv MY_INDEX

Pictures that are in it already are not embedded again, products that are gone are deleted; a run
that was killed is gone on with by the same command. Several processes, each with its share:
torchrun --nproc_per_node 8 tools/build_index.py ... --launcher pytorch
"""

import argparse
import os
from collections.abc import Mapping

import torch
from mmengine.dist import get_rank
from torch import distributed

from mvlt.apis import ProductSearch
from mvlt.command_line import run_command


def main() -> None:
    """Parse, embed, say what was done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', help='folder of publish.py, or a checkpoint; with a head itc')
    parser.add_argument('catalogue', help='CSV, Parquet, or a folder of pictures')
    parser.add_argument(
        'index', help="a folder; or a Milvus server's address, http://host:19530/collection"
    )
    parser.add_argument('--device', help="'cpu', 'cuda'; default: a GPU where there is one")
    parser.add_argument('--dtype', default='float32', choices=('float32', 'bfloat16'))
    parser.add_argument('--batch-size', type=int, default=64, help='pictures at once')
    parser.add_argument('--launcher', choices=('none', 'pytorch'), default='none')
    parser.add_argument('--upkeep', action='store_true', help='only put the index in order')
    args = parser.parse_args()
    if args.launcher == 'pytorch':
        # vectors meet on the CPU, whatever they are computed on
        distributed.init_process_group('gloo')
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
    search = ProductSearch(
        args.model,
        args.index,
        device=args.device,
        dtype=args.dtype,
        batch_size=args.batch_size,
        show_progress=get_rank() == 0,
    )
    if args.upkeep:
        search.index.upkeep()
        said = f'{search.count()} pictures'
    else:
        said = str(search.build(args.catalogue))
    if get_rank() == 0:
        print(f'{args.index}: {said}; columns: {_columns(search.index.description.columns)}')


def _columns(kinds: Mapping[str, str]) -> str:
    return ', '.join(f'{name} ({kind})' for name, kind in kinds.items())


if __name__ == '__main__':
    run_command(main)
