"""How often search finds the product whose caption is asked for, by what orders the pictures.

    tools/analysis_tools/search_quality.py MY_MODEL configs/mvlt/retrieval_catalogue.py \\
        --data-root MY_CATALOGUE

The gallery is the config's test split; any picture of the product counts. With a shortlist of all,
``matching`` it is the paper's ranking.
"""

import argparse

import numpy as np

from mvlt.apis import TextToImageRetrievalInferencer
from mvlt.command_line import run_command
from mvlt.config import load_config
from mvlt.registry import DATASETS


def main() -> None:
    """Parse, search, print percent of queries."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', help='a folder of tools/model_converters/publish.py')
    parser.add_argument('config')
    parser.add_argument('--data-root')
    parser.add_argument('--queries', type=int, default=300)
    parser.add_argument('--shortlist', type=int, nargs='+', default=[100, 300, 1000])
    args = parser.parse_args()
    config = load_config(args.config, data_root=args.data_root, count=False)
    dataset = DATASETS.build(dict(config.test_dataloader.dataset, pipeline=[]))
    search = TextToImageRetrievalInferencer(args.model, dataset, show_progress=False)
    records = [dataset.get_data_info(i) for i in range(len(dataset))]
    rows = np.random.default_rng(0).permutation(len(records))[: args.queries]
    wanted = [records[row]['product_id'] for row in rows]
    print(f'{len(records)} pictures, {len(rows)} queries; percent found within 1 / 5 / 10')
    for shortlist in args.shortlist:
        search.shortlist = shortlist
        for order in ('vectors', 'matching', 'both'):
            answers = search([records[row]['caption'] for row in rows], topk=10, order=order)
            hits = [
                [one['product_id'] == product for one in found]
                for product, found in zip(wanted, answers)
            ]
            shares = (100 * np.mean([any(one[:k]) for one in hits]) for k in (1, 5, 10))
            line = ' / '.join(f'{share:.1f}' for share in shares)
            print(f'shortlist {shortlist:<6} {order:<9} {line}', flush=True)


if __name__ == '__main__':
    run_command(main)
