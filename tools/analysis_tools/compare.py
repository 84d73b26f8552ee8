"""Compare two results query by query: paired bootstrap and McNemar's test.

    tools/analysis_tools/compare.py work_dirs/first work_dirs/second

Name two folders of tools/test.py, or the results.json, rankings.json or predictions.json in them.
Both need the same queries and candidates. The table has both values and their difference with its
95 % interval (* if 0 lies outside; queries of a product are drawn together). McNemar's p is printed
for shares of queries if each product has one query.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mvlt.command_line import run_command
from mvlt.tools.analysis_tools.answers import macro_f, matched, read_answers, same_data
from mvlt.tools.analysis_tools.significance import mcnemar, paired_bootstrap


def main() -> None:
    """Read, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('first', type=Path)
    parser.add_argument('second', type=Path)
    parser.add_argument('--topk', type=int, nargs='+', default=[1, 5, 10])
    args = parser.parse_args()
    same_data(args.first, args.second)
    first, second = read_answers(args.first), read_answers(args.second)
    both = [name for name in first if name in second]
    if not both:
        raise ValueError(
            f'no common task: {args.first} has {", ".join(first)}, {args.second} has '
            f'{", ".join(second)}'
        )
    print(f'{"":26}{"first":>10}{"second":>10}{"difference":>12}  {"95 % interval":22}{"p":>8}')
    for name in both:
        pair = matched(first[name], second[name], name)
        for line in compare(name, *pair, first[name].groups, args.topk):
            print(line)


def compare(
    name: str,
    first: np.ndarray,
    second: np.ndarray,
    groups: Sequence[Any],
    topk: Sequence[int],
) -> list[str]:
    """Lines of the table."""
    if first.ndim == 1:
        return [_line(f'{name} R@{k}', first <= k, second <= k, _percent, groups) for k in topk]
    right, other = (pairs[:, 0] == pairs[:, 1] for pairs in (first, second))
    return [
        _line(f'{name} accuracy', right, other, _percent, groups),
        _line(f'{name} macro-F', first, second, macro_f, groups),
    ]


def _percent(hits: np.ndarray) -> float:
    return 100 * float(hits.mean())


def _line(
    name: str,
    first: np.ndarray,
    second: np.ndarray,
    statistic: Callable[[np.ndarray], float],
    groups: Sequence[Any],
) -> str:
    difference = paired_bootstrap(first, second, statistic, groups)
    share = statistic is _percent
    digits = 2 if share else 3
    interval = f'{difference.low:+.{digits}f} to {difference.high:+.{digits}f}'
    # McNemar's test needs independent queries
    alone = share and len(set(groups)) == len(groups)
    tested = f'{mcnemar(first, second):8.4f}' if alone else f'{"":8}'
    return (
        f'{name:26}{statistic(first):10.{digits}f}{statistic(second):10.{digits}f}'
        f'{difference.value:+12.{digits}f}  {interval:22}{tested}'
        + (' *' if difference.significant else '')
    )


if __name__ == '__main__':
    run_command(main)
