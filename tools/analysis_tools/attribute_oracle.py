"""Upper bound of a reader who knows some columns perfectly and guesses among equals.

    tools/analysis_tools/attribute_oracle.py configs/mvlt/retrieval_catalogue.py \
        --data-root MY_CATALOGUE --read articleType --read articleType,gender,baseColour

The config gives queries, candidates and positives, as lists or full ranking. Among equals every
order is equally likely: values are expectations, not draws. A model above the bound reads more than
these columns; a model below confuses them. Without --read: each column of a category or attribute
in the config alone, and all together.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.config import Config
from scipy.special import gammaln

from mvlt.datasets import draw_candidates
from mvlt.engine import resolve
from mvlt.registry import DATASETS
from mvlt.retrieval.gallery import make_gallery
from mvlt.structures import CATEGORIES
from mvlt.tools.command_line import add_options, config_from, run_command

TOPK = (1, 5, 10)


def main() -> None:
    """Parse, count, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument(
        '--read',
        action='append',
        type=lambda text: tuple(text.split(',')),
        metavar='COLUMN,...',
        help='columns to read together; repeat the option for further sets',
    )
    args = parser.parse_args()
    config = resolve(config_from(args), 'data')
    given = config.test_dataloader.dataset
    columns = [given.columns[level] for level in CATEGORIES if level in given.columns]
    columns += (given.get('attributes') or {}).values()
    readings = args.read or [*((column,) for column in columns), tuple(columns)]
    distinct = {column for reading in readings for column in reading}
    dataset = DATASETS.build(
        dict(given, pipeline=[], attributes={column: column for column in sorted(distinct)})
    )
    records = [dataset.get_data_info(row) for row in range(len(dataset))]
    print(f'{"read perfectly":44}{"TIR R@1/5/10":>22}{"ITR R@1/5/10":>22}')
    for read in readings:
        line = f'{", ".join(read):44}'
        for direction in ('tir', 'itr'):
            counts = list(equals(config.test_cfg, records, read, direction))
            line += f'{" / ".join(f"{recall:.1f}" for recall in expected_recalls(counts)):>22}'
        print(line)


def equals(
    settings: Config, records: Sequence[Mapping], read: Sequence[str], direction: str
) -> Iterator[tuple[int, int]]:
    """For each query: the number of candidates equal to its positive in the columns ``read``, and
    the number of positives among them."""
    known = np.array([[record[column] for column in read] for record in records])
    if 'FullRankingLoop' in str(settings.type):
        gallery = make_gallery(records, settings.get('merge_captions', True))
        images, texts = known[gallery.images], known[gallery.texts]
        if direction == 'tir':
            queries: Any = zip(texts, gallery.images_of)
            candidates = images
        else:
            queries = zip(images, gallery.texts_of)
            candidates = texts
        for query, positives in queries:
            alike = (candidates == query).all(1)
            # a positive with another class ranks last
            right = int(alike[positives].sum())
            yield (int(alike.sum()), right) if right else (len(candidates), len(positives))
        return
    arguments = ('num_queries', 'num_candidates', 'seed', 'products', 'fewer')
    drawn = {name: settings[name] for name in arguments if name in settings}
    for query_list in draw_candidates(records, **drawn):
        rows = list(query_list.candidates)
        yield int((known[rows] == known[query_list.query]).all(1).sum()), 1


def expected_recalls(counts: Sequence[tuple[int, int]]) -> list[float]:
    """R@k in percent if all orders of the first n candidates, m of them positives, are as likely.

    No positive is among the first k with probability C(n - m, k) / C(n, k).
    """
    alike, right = np.array(counts, dtype=float).T
    recalls = []
    for k in TOPK:
        wrong = alike - right
        missed = np.where(
            wrong >= k,
            np.exp(_log_choose(np.maximum(wrong, k), k) - _log_choose(np.maximum(alike, k), k)),
            0.0,
        )
        recalls.append(100 * float((1 - missed).mean()))
    return recalls


def _log_choose(n: np.ndarray, k: int) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


if __name__ == '__main__':
    run_command(main)
