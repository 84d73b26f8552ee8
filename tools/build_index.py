"""Build the search index of a catalogue, or update it to the catalogue's present content.

    tools/build_index.py MY_MODEL MY_CATALOGUE/products.csv [MY_INDEX]

Only new images are embedded; products missing from the catalogue are deleted. Run the same command
again to resume a killed run. Several processes share the work:
torchrun --nproc_per_node 8 tools/build_index.py ... --launcher pytorch
"""

import argparse
import os
from collections.abc import Mapping

import torch
from mmengine.dist import get_rank
from torch import distributed

from mvlt.apis import Search
from mvlt.tools.command_line import run_command


def main() -> None:
    """Parse, embed, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', help='folder of publish.py, or a checkpoint; a dual encoder')
    parser.add_argument('catalogue', help='CSV, Parquet, or a folder of images')
    parser.add_argument(
        'index',
        nargs='?',
        help='a folder, or the address of a Milvus server, http://host:19530/collection; default: '
        "the page's and the service's index of this model and catalogue, below work_dirs/index",
    )
    parser.add_argument('--device', help="'cpu', 'cuda'; default: a GPU if there is one")
    parser.add_argument('--dtype', default='float32', choices=('float32', 'bfloat16'))
    parser.add_argument('--batch-size', type=int, default=64, help='images at once')
    parser.add_argument('--launcher', choices=('none', 'pytorch'), default='none')
    parser.add_argument(
        '--compact', action='store_true', help='compact the named index, add nothing'
    )
    parser.add_argument(
        '--max-deleted',
        type=float,
        default=0.5,
        metavar='SHARE',
        help='refuse to delete a larger share of the products, since an export may be cut off',
    )
    args = parser.parse_args()
    if args.launcher == 'pytorch':
        # embeddings are gathered on the CPU, whatever device computes them
        distributed.init_process_group('gloo')
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
    search = Search(
        args.model,
        args.index,
        device=args.device,
        dtype=args.dtype,
        batch_size=args.batch_size,
        show_progress=get_rank() == 0,
    )
    if args.compact:
        search.index.compact()
        summary = f'{search.count()} images'
    else:
        summary = str(search.build(args.catalogue, args.max_deleted))
    if get_rank() == 0:
        print(
            f'{search.location}: {summary}; columns: {_columns(search.index.description.columns)}'
        )


def _columns(kinds: Mapping[str, str]) -> str:
    return ', '.join(f'{name} ({kind})' for name, kind in kinds.items())


if __name__ == '__main__':
    run_command(main)
