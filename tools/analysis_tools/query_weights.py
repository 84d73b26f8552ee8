"""How much a picture should weigh beside words, and unwanted words beside wanted ones.

    tools/analysis_tools/query_weights.py MODEL CONFIG --data-root MY_CATALOGUE [--colour colour]

"This, but red": a product's picture and a colour that its kind has, too; right are products of the
kind in that colour. "Shoes, not black": a kind and one of its colours; right are products of the
kind in another colour. Both on the config's val split, P@10 for each weight.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from mvlt.apis import Search
from mvlt.command_line import add_options, config_from, run_command
from mvlt.config import section
from mvlt.datasets.inputs import to_array
from mvlt.engine import resolve
from mvlt.registry import DATASETS

WEIGHTS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # of pictures or unwanted words; words: 1
FIRST = 10


def main() -> None:
    """Parse, embed the split, print a line a weight."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', help='a model folder with towers')
    add_options(parser)
    parser.add_argument('--colour', default='colour', help='the label that is changed')
    parser.add_argument('--kind', default='sub_category', help='the label that stays')
    args = parser.parse_args()
    config = resolve(config_from(args), 'data')
    known = section(config, 'train_dataloader', 'towers').dataset.get('attributes', {})
    split = section(config, 'val_dataloader', 'towers').dataset
    data = DATASETS.build(dict(split, attributes=known, pipeline=[]))
    records = [data.get_data_info(row) for row in range(len(data))]
    search = Search(args.model, 'unused', show_progress=False)
    pixels = [search.pixels(to_array(record['img_path'])) for record in records]
    images = search.embed_images(pixels)
    print(f'{len(records)} products; P@{FIRST} in percent')
    print('weight  picture and words  unwanted words')
    kinds, colours = (
        np.array([record[key] for record in records]) for key in (args.kind, args.colour)
    )
    names = data.metainfo[args.kind], data.metainfo[args.colour]
    changed = changed_queries(kinds, colours)
    left_out = left_out_queries(kinds, colours)
    words = sorted({colour for _, _, colour in changed})
    texts = dict(zip(words, search.text_embeds([names[1][one] for one in words])))
    pairs = sorted(set(left_out))
    wanted = search.text_embeds([names[0][kind] for kind, _ in pairs])
    unwanted = search.text_embeds([names[1][colour] for _, colour in pairs])
    for weight in WEIGHTS:
        first = [
            precision(
                images @ (weight * images[row] + texts[colour]),
                (kinds == kind) & (colours == colour),
            )
            for row, kind, colour in changed
        ]
        second = [
            precision(images @ (want - weight * no), (kinds == kind) & (colours != colour))
            for want, no, (kind, colour) in zip(wanted, unwanted, pairs)
        ]
        print(f'{weight:6.2f}  {np.mean(first):17.1f}  {np.mean(second):14.1f}')


def changed_queries(kinds: np.ndarray, colours: np.ndarray) -> list[tuple[int, Any, Any]]:
    """Product, its kind, and a colour that it has not and at least five of its kind have."""
    found = []
    for row, colour in product(range(len(kinds)), sorted({*colours.tolist()} - {-1})):
        right = (kinds == kinds[row]) & (colours == colour)
        if colours[row] not in (colour, -1) and right.sum() >= FIRST // 2:
            found.append((row, kinds[row], colour))
    return found


def left_out_queries(kinds: np.ndarray, colours: np.ndarray) -> list[tuple[Any, Any]]:
    """Kinds and colours that at least five of them have, and ten have not."""
    found = []
    for kind, colour in product(sorted({*kinds.tolist()}), sorted({*colours.tolist()} - {-1})):
        of_kind = kinds == kind
        have = (of_kind & (colours == colour)).sum()
        if have >= FIRST // 2 and of_kind.sum() - have >= FIRST:
            found.append((kind, colour))
    return found


def precision(scores: np.ndarray, right: Sequence[bool] | np.ndarray) -> float:
    """Share of the first ten that are right, of those that could be, in percent."""
    first = np.argsort(-scores, kind='stable')[:FIRST]
    return 100 * float(np.asarray(right)[first].sum()) / min(FIRST, int(np.sum(right)))


if __name__ == '__main__':
    run_command(main)
