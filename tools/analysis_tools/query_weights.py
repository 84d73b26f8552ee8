"""Weights of an image beside a text, and of a negative query.

    tools/analysis_tools/query_weights.py MODEL CONFIG --data-root MY_CATALOGUE [--colour colour]

"This, but red": a product's image and another colour of its category; positives are products of
the category in that colour. "Shoes, not black": a category and one of its colours; positives are
products of the category in another colour. Both on the config's val split, P@10 for each weight.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from mvlt.apis import Search
from mvlt.config import section
from mvlt.datasets.inputs import to_array
from mvlt.engine import resolve
from mvlt.registry import DATASETS
from mvlt.tools.command_line import add_options, config_from, run_command

# of the image or the negative query; the text has 1
WEIGHTS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
FIRST = 10
RECIPE = 'configs/mvlt/dual_encoder_catalogue_scratch.py'


def main() -> None:
    """Parse, embed the split, print a line a weight."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', help='a folder of a dual encoder')
    add_options(parser)
    parser.add_argument('--colour', default='colour', help='the attribute that changes')
    parser.add_argument('--kind', default='sub_category', help='the category that stays')
    args = parser.parse_args()
    config = resolve(config_from(args), 'data')
    known = section(config, 'train_dataloader', RECIPE).dataset.get('attributes', {})
    split = section(config, 'val_dataloader', RECIPE).dataset
    data = DATASETS.build(dict(split, attributes=known, pipeline=[]))
    records = [data.get_data_info(row) for row in range(len(data))]
    search = Search(args.model, 'unused', show_progress=False)
    pixels = [search.pixels(to_array(record['img_path'])) for record in records]
    images = search.embed_images(pixels)
    print(f'{len(records)} products; P@{FIRST} in percent')
    print('weight  image and text  negative query')
    kinds, colours = (
        np.array([record[key] for record in records]) for key in (args.kind, args.colour)
    )
    names = data.metainfo[args.kind], data.metainfo[args.colour]
    changed = changed_queries(kinds, colours)
    left_out = left_out_queries(kinds, colours)
    words = sorted({colour for _, _, colour in changed})
    texts = dict(zip(words, search.text_embeds([names[1][colour] for colour in words])))
    pairs = sorted(set(left_out))
    kind_embeds = search.text_embeds([names[0][kind] for kind, _ in pairs])
    colour_embeds = search.text_embeds([names[1][colour] for _, colour in pairs])
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
            for want, no, (kind, colour) in zip(kind_embeds, colour_embeds, pairs)
        ]
        print(f'{weight:6.2f}  {np.mean(first):14.1f}  {np.mean(second):14.1f}')


def changed_queries(kinds: np.ndarray, colours: np.ndarray) -> list[tuple[int, Any, Any]]:
    """Product, its category, and another colour of at least five products of the category."""
    queries = []
    for row, colour in product(range(len(kinds)), sorted({*colours.tolist()} - {-1})):
        right = (kinds == kinds[row]) & (colours == colour)
        if colours[row] not in (colour, -1) and right.sum() >= FIRST // 2:
            queries.append((row, kinds[row], colour))
    return queries


def left_out_queries(kinds: np.ndarray, colours: np.ndarray) -> list[tuple[Any, Any]]:
    """Category and a colour that at least five of its products have, and at least ten lack."""
    queries = []
    for kind, colour in product(sorted({*kinds.tolist()}), sorted({*colours.tolist()} - {-1})):
        of_kind = kinds == kind
        have = (of_kind & (colours == colour)).sum()
        if have >= FIRST // 2 and of_kind.sum() - have >= FIRST:
            queries.append((kind, colour))
    return queries


def precision(scores: np.ndarray, right: Sequence[bool] | np.ndarray) -> float:
    """Positives among the first ten, in percent of the maximum possible."""
    first = np.argsort(-scores, kind='stable')[:FIRST]
    return 100 * float(np.asarray(right)[first].sum()) / min(FIRST, int(np.sum(right)))


if __name__ == '__main__':
    run_command(main)
