"""What somebody who reads some columns perfectly, and guesses among equals, would reach.

    tools/analysis_tools/attribute_oracle.py configs/mvlt/retrieval_catalogue.py \
        --data-root MY_CATALOGUE --read articleType --read articleType,gender,baseColour

Queries, candidates and what counts are those of the config, lists or full ranking. Among equals
every order is as likely, so figures are expectations, not draws. A model above them reads more than
these columns; what is missing below them it confuses. Without --read: every column of a category or
attribute that the config names, alone, and all together.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.config import Config
from scipy.special import gammaln

from mvlt.command_line import add_options, config_from, run_command
from mvlt.datasets import draw_candidates
from mvlt.engine import resolve
from mvlt.registry import DATASETS
from mvlt.retrieval.gallery import make_gallery
from mvlt.structures import CATEGORIES

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
        help='columns that are read together; may be given several times',
    )
    args = parser.parse_args()
    config = resolve(config_from(args), 'data')
    given = config.test_dataloader.dataset
    columns = [given.columns[level] for level in CATEGORIES if level in given.columns]
    columns += (given.get('attributes') or {}).values()
    wanted = args.read or [*((one,) for one in columns), tuple(columns)]
    distinct = {column for one in wanted for column in one}
    dataset = DATASETS.build(
        dict(given, pipeline=[], attributes={column: column for column in sorted(distinct)})
    )
    records = [dataset.get_data_info(row) for row in range(len(dataset))]
    print(f'{"read perfectly":44}{"TIR R@1/5/10":>22}{"ITR R@1/5/10":>22}')
    for read in wanted:
        line = f'{", ".join(read):44}'
        for direction in ('tir', 'itr'):
            counts = list(equals(config.test_cfg, records, read, direction))
            line += f'{" / ".join(f"{one:.1f}" for one in expected_recalls(counts)):>22}'
        print(line)


def equals(
    settings: Config, records: Sequence[Mapping], read: Sequence[str], direction: str
) -> Iterator[tuple[int, int]]:
    """For each query: candidates that look like its positive to a reader of ``read``, and how many
    of these are right."""
    known = np.array([[one[column] for column in read] for one in records])
    if 'FullRankingLoop' in str(settings.type):
        found = make_gallery(records, settings.get('merge_captions', True))
        images, texts = known[found.images], known[found.texts]
        if direction == 'tir':
            queries: Any = zip(texts, found.images_of)
            candidates = images
        else:
            queries = zip(images, found.texts_of)
            candidates = texts
        for query, positives in queries:
            alike = (candidates == query).all(1)
            # a right one that is labelled otherwise is found last
            right = int(alike[positives].sum())
            yield (int(alike.sum()), right) if right else (len(candidates), len(positives))
        return
    arguments = ('num_queries', 'num_candidates', 'seed', 'products', 'fewer')
    drawn = {name: settings[name] for name in arguments if name in settings}
    for one in draw_candidates(records, **drawn):
        rows = list(one.candidates)
        yield int((known[rows] == known[one.query]).all(1).sum()), 1


def expected_recalls(counts: Sequence[tuple[int, int]]) -> list[float]:
    """R@k in percent where all orders of the first n candidates, m of them right, are as likely.

    None of the first k is right with probability C(n - m, k) / C(n, k).
    """
    alike, right = np.array(counts, dtype=float).T
    found = []
    for k in TOPK:
        wrong = alike - right
        missed = np.where(
            wrong >= k,
            np.exp(_log_choose(np.maximum(wrong, k), k) - _log_choose(np.maximum(alike, k), k)),
            0.0,
        )
        found.append(100 * float((1 - missed).mean()))
    return found


def _log_choose(n: np.ndarray, k: int) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


if __name__ == '__main__':
    run_command(main)
