"""Compare two results query by query: paired bootstrap and McNemar's test.

    tools/analysis_tools/compare.py work_dirs/first work_dirs/second

Name two folders of tools/test.py, or the results.json, rankings.json or predictions.json in them.
Both need the same queries and candidates. The table has both values and their difference with its
95 % interval (* if 0 lies outside; queries of a product are drawn together). McNemar's p is printed
for shares of queries if each product has one query.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mvlt.evaluation.significance import mcnemar, paired_bootstrap
from mvlt.tools.command_line import run_command


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
        ours, theirs = matched(first[name], second[name], name)
        for line in compare(name, ours, theirs, first[name].groups, args.topk):
            print(line)


class Answers(NamedTuple):
    """Results of each query.

    keys: identify a query; for lists they include the candidates.
    values: ranks (n,), or truth and prediction (n, 2).
    groups: the product of each query, or the query if the file names none.
    """

    keys: list[Any]
    values: np.ndarray
    groups: list[Any]


def read_answers(path: Path) -> dict[str, Answers]:
    """Answers by task: 'tir', 'itr', or a category level.

    Raises:
        FileNotFoundError, ValueError: no such file, or no file of tools/test.py.
    """
    folder = path if path.is_dir() else path.parent
    names = {'rankings.json', 'predictions.json'}
    files = [folder / name for name in sorted({path.name} & names or names, reverse=True)]
    files = [file for file in files if file.is_file()]
    if not files:
        raise FileNotFoundError(
            f'{path}: no rankings.json or predictions.json; run tools/test.py to write them'
        )
    answers: dict[str, Answers] = {}
    for file in files:
        content = json.loads(file.read_text('utf-8'))
        try:
            answers |= _ranks(content) if isinstance(content, list) else _classes(content)
        except (KeyError, TypeError) as error:
            raise ValueError(f'{file}: not a file of tools/test.py ({error})') from error
    return answers


def _ranks(content: Sequence[dict]) -> dict[str, Answers]:
    answers = {}
    for direction in dict.fromkeys(query['direction'] for query in content):
        queries = [query for query in content if query['direction'] == direction]
        # the full protocol has no draw and keeps the first candidates only, which differ
        keys = [
            (q['query'], q.get('draw', 0), tuple(q['candidates']) if 'draw' in q else ())
            for q in queries
        ]
        groups = [query.get('product_id', query['query']) for query in queries]
        answers[direction] = Answers(keys, np.array([q['rank'] for q in queries]), groups)
    return answers


def _classes(content: dict[str, Any]) -> dict[str, Answers]:
    products = content.pop('product_id', None)
    return {
        level: Answers(
            list(enumerate(entry['truth'])),
            np.stack((entry['truth'], entry['predicted']), axis=1),
            products or list(range(len(entry['truth']))),
        )
        for level, entry in content.items()
    }


def same_data(first: Path, second: Path) -> None:
    """Refuse results of different data or protocols, by their results.json.

    A key in only one of them, as in an older file, is not compared.

    Raises:
        ValueError: they differ; the message names the keys.
    """
    files = [(path if path.is_dir() else path.parent) / 'results.json' for path in (first, second)]
    results = [json.loads(file.read_text('utf-8')) if file.is_file() else {} for file in files]
    for name in ('data', 'protocol'):
        here, there = (content.get(name) or {} for content in results)
        common = here.keys() & there.keys() - {'candidates'}
        if differing := [key for key in common if here[key] != there[key]]:
            raise ValueError(
                f'{first} and {second} differ in their {name}: '
                + '; '.join(f'{key} {here[key]}, {there[key]}' for key in differing)
            )


def matched(first: Answers, second: Answers, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Values of both in the same order.

    Raises:
        ValueError: other queries, other candidates or, for categories, another truth.
    """
    row_of = {key: row for row, key in enumerate(second.keys)}
    if set(first.keys) != set(row_of):
        differing = len(set(first.keys) ^ set(row_of))
        raise ValueError(
            f'{name}: {differing} queries or candidates are in one result only; compare results of '
            'the same data, candidate lists and seeds'
        )
    return first.values, second.values[[row_of[key] for key in first.keys]]


def right(values: np.ndarray, k: int = 1) -> np.ndarray:
    """Which queries are right, bool (n,): rank up to ``k``, or predicted class is true."""
    return values <= k if values.ndim == 1 else values[:, 0] == values[:, 1]


def macro_f(pairs: np.ndarray) -> float:
    """Macro-F, 0 to 1, of truth and prediction (n, 2), over the classes of both."""
    truth, predicted = pairs.T
    classes = 1 + int(pairs.max())
    right = np.bincount(truth[truth == predicted], minlength=classes)
    total = np.bincount(pairs.ravel(), minlength=classes)  # true + predicted
    return float((2 * right[total > 0] / total[total > 0]).mean())


def compare(
    name: str,
    first: np.ndarray,
    second: np.ndarray,
    groups: Sequence[Any],
    topk: Sequence[int],
) -> list[str]:
    """Lines of the table."""
    if first.ndim == 1:
        return [
            _line(f'{name} R@{k}', right(first, k), right(second, k), _percent, groups)
            for k in topk
        ]
    return [
        _line(f'{name} accuracy', right(first), right(second), _percent, groups),
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
