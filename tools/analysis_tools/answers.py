"""What a result says of each query, from the files that tools/test.py leaves."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Answers(NamedTuple):
    """What a result says of each query.

    keys: what makes a query the same one; for lists of candidates those, too.
    values: (n,), ranks, or (n, 2), truth and prediction.
    groups: the product of each query, or the query where the file names none.
    """

    keys: list[Any]
    values: np.ndarray
    groups: list[Any]


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
        groups = [one.get('product_id', one['query']) for one in own]
        found[direction] = Answers(keys, np.array([one['rank'] for one in own]), groups)
    return found


def _classes(content: dict[str, Any]) -> dict[str, Answers]:
    products = content.pop('product_id', None)
    return {
        level: Answers(
            list(enumerate(one['truth'])),
            np.stack((one['truth'], one['predicted']), axis=1),
            products or list(range(len(one['truth']))),
        )
        for level, one in content.items()
    }


def same_data(first: Path, second: Path) -> None:
    """Refuse results whose results.json name other data or another protocol.

    What only one of them tells, as an older file may, is not compared.

    Raises:
        ValueError: they do; the message names what differs.
    """
    told = []
    for path in (first, second):
        file = (path if path.is_dir() else path.parent) / 'results.json'
        told.append(json.loads(file.read_text('utf-8')) if file.is_file() else {})
    one, other = told
    for name in ('data', 'protocol') if one and other else ():
        parts = one.get(name) or {}, other.get(name) or {}
        differing = [
            key
            for key in parts[0].keys() & parts[1].keys() - {'candidates'}
            if parts[0][key] != parts[1][key]
        ]
        if differing:
            raise ValueError(
                f'{first} and {second} differ in their {name}: '
                + '; '.join(f'{key} {parts[0].get(key)}, {parts[1].get(key)}' for key in differing)
            )


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


def macro_f(pairs: np.ndarray) -> float:
    """Macro-F, 0 to 1, of truth and prediction (n, 2), over the classes of either."""
    truth, predicted = pairs.T
    classes = 1 + int(pairs.max())
    right = np.bincount(truth[truth == predicted], minlength=classes)
    total = np.bincount(pairs.ravel(), minlength=classes)  # true + predicted
    return float((2 * right[total > 0] / total[total > 0]).mean())
