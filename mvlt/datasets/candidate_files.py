"""Candidate lists as JSON files of ids, to compare models on the same candidates.

``{"format": "mvlt-candidates", "version": 1, "protocol": {...}, "data": {...},
"draws": [{"seed": 0, "tir": [[id, id, ...], ...], "itr": [...]}, ...]}``. A list starts with its
query, which is also its only positive. ``<product id>_<k>`` is the k-th row (from 0) of a product
in the order of the annotations. A text-to-image list ranks the images of its rows for the caption
of the first row; an image-to-text list ranks their captions for its image.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from mmengine.logging import print_log

from mvlt.datasets.candidates import CandidateList
from mvlt.files import read_json
from mvlt.structures import text_key

FORMAT, VERSION = 'mvlt-candidates', 1
DIRECTIONS = ('tir', 'itr')
_REMEDY = 'make it with tools/dataset_converters/make_candidates.py'
Draw = dict[str, list[CandidateList]]


def row_ids(records: Sequence[Mapping]) -> list[str]:
    """``<product id>_<k>`` of every row."""
    numbers: dict[str, Iterator[int]] = defaultdict(count)
    products = [record['product_id'] for record in records]
    return [f'{product}_{next(numbers[product])}' for product in products]


def read_candidates(path: str, records: Sequence[Mapping]) -> list[Draw]:
    """Read the draws of a file, as rows of ``records``.

    A warning counts the negatives that share the query's product or caption.

    Raises:
        FileNotFoundError, ValueError: no such file; another format; an unknown id, with its list.
    """
    content = read_json(path, _REMEDY)
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        raise ValueError(f"{path}: no candidate file ('format' is not '{FORMAT}'); {_REMEDY}")
    if content.get('version') != VERSION:
        raise ValueError(
            f'{path}: version {content.get("version")} of the format, {VERSION} is supported'
        )
    rows = {name: row for row, name in enumerate(row_ids(records))}
    draws: list[Draw] = []
    stored_draws = content.get('draws')
    if not isinstance(stored_draws, list) or {*map(type, stored_draws)} - {dict}:
        raise ValueError(f"{path}: 'draws' is no list of objects; {_REMEDY}")
    for number, stored in enumerate(stored_draws):
        draw: Draw = {}
        for direction in DIRECTIONS:
            if not isinstance(stored.get(direction, []), list):
                raise ValueError(f'{path}, draws[{number}].{direction} is no list; {_REMEDY}')
            draw[direction] = [
                _list(names, rows, f'{path}, draws[{number}].{direction}[{i}]')
                for i, names in enumerate(stored.get(direction, ()))
            ]
        draws.append(draw)
    if not draws or not any(any(draw.values()) for draw in draws):
        raise ValueError(f'{path}: it holds no list; {_REMEDY}')
    _warn_of_false_negatives(path, draws, records)
    return draws


def _warn_of_false_negatives(path: str, draws: Sequence[Draw], records: Sequence[Mapping]) -> None:
    """Files from elsewhere may hold them; :func:`draw_candidates` never draws them."""
    lists = [entry for draw in draws for entries in draw.values() for entry in entries]
    keys = [(record['product_id'], text_key(record['caption'])) for record in records]
    false = sum(
        any(a == b for a, b in zip(keys[row], keys[entry.query]))
        for entry in lists
        for row in entry.candidates[1:]
    )
    if false:
        print_log(
            f'{path}: {false} negatives in {len(lists)} lists have the product or the caption of '
            'the query; they count as wrong, as the file says',
            'current',
            level=30,
        )


def _list(names: Any, rows: Mapping[str, int], where: str) -> CandidateList:
    if not isinstance(names, list) or len(names) < 2 or {*map(type, names)} != {str}:
        raise ValueError(f'{where}: a list of a query and at least one more id is needed')
    unknown = [name for name in names if name not in rows]
    if unknown:
        raise ValueError(
            f"{where}: the evaluated data has no '{unknown[0]}' ({len(unknown)} of {len(names)} "
            'ids unknown); is the file of another split or version of the data?'
        )
    candidates = tuple(rows[name] for name in names)
    return CandidateList(candidates[0], candidates)
