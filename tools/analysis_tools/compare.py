"""Is one result better than another, query by query? A paired bootstrap and McNemar's test.

    tools/analysis_tools/compare.py work_dirs/first work_dirs/second

Each is a folder of tools/test.py, or the results.json, rankings.json or predictions.json in it.
Both must have answered the same queries with the same candidates. Printed are both figures, their
difference with its 95 % interval (* where 0 lies outside), and, for shares of queries, McNemar's p.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mvlt.engine.command_line import run_command
from mvlt.evaluation.significance import mcnemar, paired_bootstrap


class Answers(NamedTuple):
    """What a result says of each query.

    keys: what makes a query the same one; for lists of candidates those, too.
    values: (n, ...), ranks, or truth and prediction.
    """

    keys: list[Any]
    values: np.ndarray


def main() -> None:
    """Read, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('first', type=Path)
    parser.add_argument('second', type=Path)
    parser.add_argument('--topk', type=int, nargs='+', default=[1, 5, 10])
    args = parser.parse_args()
    first, second = read_answers(args.first), read_answers(args.second)
    both = [name for name in first if name in second]
    if not both:
        raise ValueError(
            f'{args.first} has answers of {", ".join(first)}, {args.second} of {", ".join(second)}'
        )
    print(f'{"":26}{"first":>10}{"second":>10}{"difference":>12}  {"95 % interval":22}{"p":>8}')
    for name in both:
        pair = matched(first[name], second[name], name)
        for line in compare(name, *pair, args.topk):
            print(line)


def read_answers(path: Path) -> dict[str, Answers]:
    """Answers by task: 'tir', 'itr', or a category level.

    Raises:
        FileNotFoundError, ValueError: no such file; none of ours.
    """
    folder = path if path.is_dir() else path.parent
    names = ['rankings.json', 'predictions.json']
    wanted = [path.name] if path.name in names else names
    files = [folder / name for name in wanted if (folder / name).is_file()]
    if not files:
        raise FileNotFoundError(
            f'{path}: no rankings.json or predictions.json there; tools/test.py writes them'
        )
    found: dict[str, Answers] = {}
    for file in files:
        content = json.loads(file.read_text('utf-8'))
        try:
            found |= _ranks(content) if isinstance(content, list) else _classes(content)
        except (KeyError, TypeError) as error:
            raise ValueError(f'{file}: not a file of tools/test.py ({error})') from error
    return found


def _ranks(content: Sequence[dict]) -> dict[str, Answers]:
    found = {}
    for direction in dict.fromkeys(one['direction'] for one in content):
        own = [one for one in content if one['direction'] == direction]
        # the full protocol has no draw, and keeps only the first candidates, which differ
        keys = [
            (one['query'], one.get('draw', 0), tuple(one['candidates']) if 'draw' in one else ())
            for one in own
        ]
        found[direction] = Answers(keys, np.array([one['rank'] for one in own]))
    return found


def _classes(content: dict[str, dict]) -> dict[str, Answers]:
    return {
        level: Answers(
            list(enumerate(one['truth'])), np.stack((one['truth'], one['predicted']), axis=1)
        )
        for level, one in content.items()
    }


def matched(first: Answers, second: Answers, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Values of both in one order.

    Raises:
        ValueError: other queries, other candidates or, for categories, another truth.
    """
    place = {key: row for row, key in enumerate(second.keys)}
    if set(first.keys) != set(place):
        differing = len(set(first.keys) ^ set(place))
        raise ValueError(
            f'{name}: {differing} queries (or their candidates) of one are not in the other; '
            'compare results on the same data, lists and seeds of candidates'
        )
    return first.values, second.values[[place[key] for key in first.keys]]


def compare(name: str, first: np.ndarray, second: np.ndarray, topk: Sequence[int]) -> list[str]:
    """Lines of the table."""
    if first.ndim == 1:
        return [_line(f'{name} R@{k}', first <= k, second <= k, _percent, share=True) for k in topk]
    right, other = (one[:, 0] == one[:, 1] for one in (first, second))
    return [
        _line(f'{name} accuracy', right, other, _percent, share=True),
        _line(f'{name} macro-F', first, second, macro_f, share=False),
    ]


def _percent(hits: np.ndarray) -> float:
    return 100 * float(hits.mean())


def macro_f(pairs: np.ndarray) -> float:
    """Macro-F, 0 to 1, of truth and prediction (n, 2), over the classes of either."""
    truth, predicted = pairs.T
    classes = 1 + int(pairs.max())
    right = np.bincount(truth[truth == predicted], minlength=classes)
    total = np.bincount(pairs.ravel(), minlength=classes)  # true + predicted
    return float((2 * right[total > 0] / total[total > 0]).mean())


def _line(
    name: str,
    first: np.ndarray,
    second: np.ndarray,
    statistic: Callable[[np.ndarray], float],
    share: bool,
) -> str:
    found = paired_bootstrap(first, second, statistic)
    digits = 2 if share else 3
    interval = f'{found.low:+.{digits}f} to {found.high:+.{digits}f}'
    p = f'{mcnemar(first, second):8.4f}' if share else f'{"":8}'
    return (
        f'{name:26}{statistic(first):10.{digits}f}{statistic(second):10.{digits}f}'
        f'{found.value:+12.{digits}f}  {interval:22}{p}{" *" if found.significant else ""}'
    )


if __name__ == '__main__':
    run_command(main)
