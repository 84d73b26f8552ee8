"""Results of each query, from the files of tools/test.py."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


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
    names = ['rankings.json', 'predictions.json']
    chosen = [path.name] if path.name in names else names
    files = [folder / name for name in chosen if (folder / name).is_file()]
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
    for direction in dict.fromkeys(entry['direction'] for entry in content):
        entries = [entry for entry in content if entry['direction'] == direction]
        # the full protocol has no draw and keeps the first candidates only, which differ
        keys = [
            (
                entry['query'],
                entry.get('draw', 0),
                tuple(entry['candidates']) if 'draw' in entry else (),
            )
            for entry in entries
        ]
        groups = [entry.get('product_id', entry['query']) for entry in entries]
        answers[direction] = Answers(keys, np.array([entry['rank'] for entry in entries]), groups)
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
    told = []
    for path in (first, second):
        file = (path if path.is_dir() else path.parent) / 'results.json'
        told.append(json.loads(file.read_text('utf-8')) if file.is_file() else {})
    this, other = told
    for name in ('data', 'protocol') if this and other else ():
        parts = this.get(name) or {}, other.get(name) or {}
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


def macro_f(pairs: np.ndarray) -> float:
    """Macro-F, 0 to 1, of truth and prediction (n, 2), over the classes of both."""
    truth, predicted = pairs.T
    classes = 1 + int(pairs.max())
    right = np.bincount(truth[truth == predicted], minlength=classes)
    total = np.bincount(pairs.ravel(), minlength=classes)  # true + predicted
    return float((2 * right[total > 0] / total[total > 0]).mean())
