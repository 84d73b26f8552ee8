"""Is one result better than another, query by query? A paired bootstrap and McNemar's test.

    tools/analysis_tools/compare.py work_dirs/first work_dirs/second

Each is a folder of tools/test.py, or the results.json, rankings.json or predictions.json in it.
Both must have answered the same queries with the same candidates. Printed are both figures, their
difference with its 95 % interval (* where 0 lies outside; the queries of one product are drawn
together), and, for shares of queries that are one of a product each, McNemar's p.
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
            f'{args.first} has answers of {", ".join(first)}, {args.second} of {", ".join(second)}'
        )
    print(f'{"":26}{"first":>10}{"second":>10}{"difference":>12}  {"95 % interval":22}{"p":>8}')
    for name in both:
        ours, theirs = matched(first[name], second[name], name)
        for line in compare(name, ours, theirs, first[name].groups, args.topk):
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
    right, other = (one[:, 0] == one[:, 1] for one in (first, second))
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
    found = paired_bootstrap(first, second, statistic, groups)
    share = statistic is _percent
    digits = 2 if share else 3
    interval = f'{found.low:+.{digits}f} to {found.high:+.{digits}f}'
    # McNemar's test takes each query for itself
    alone = share and len(set(groups)) == len(groups)
    tested = f'{mcnemar(first, second):8.4f}' if alone else f'{"":8}'
    return (
        f'{name:26}{statistic(first):10.{digits}f}{statistic(second):10.{digits}f}'
        f'{found.value:+12.{digits}f}  {interval:22}{tested}{" *" if found.significant else ""}'
    )


if __name__ == '__main__':
    run_command(main)
