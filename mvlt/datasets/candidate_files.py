"""Candidate lists as files of ids, so that others can rank the very same candidates.

A file is JSON: ``{"format": "mvlt-candidates", "version": 1, "protocol": {...}, "data": {...},
"draws": [{"seed": 0, "tir": [[id, id, ...], ...], "itr": [...]}, ...]}``. A list starts with its
query, which is also its only positive. ``<product id>_<k>`` is the k-th row (from 0) of a product
in the order of the annotations. A text-to-image list ranks the pictures of its rows for the caption
of the first one; an image-to-text list ranks their captions for its picture.
"""

from collections.abc import Mapping, Sequence
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
    seen: dict[str, int] = {}
    ids = []
    for record in records:
        product = record['product_id']
        seen[product] = seen.get(product, -1) + 1
        ids.append(f'{product}_{seen[product]}')
    return ids


def read_candidates(path: str, records: Sequence[Mapping]) -> list[Draw]:
    """The draws of a file, as rows of ``records``.

    Negatives of the query's own product or caption are counted and reported.

    Raises:
        FileNotFoundError, ValueError: no such file; not this format; an id that the records lack;
            the message names the list.
    """
    content = read_json(path, _REMEDY)
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        raise ValueError(f"{path}: no candidate file ('format' is not '{FORMAT}'); {_REMEDY}")
    if content.get('version') != VERSION:
        raise ValueError(
            f'{path}: version {content.get("version")} of the format, {VERSION} is known here'
        )
    rows = {name: row for row, name in enumerate(row_ids(records))}
    draws: list[Draw] = []
    stored_draws = content.get('draws')
    if not isinstance(stored_draws, list) or not all(isinstance(one, dict) for one in stored_draws):
        raise ValueError(f"{path}: 'draws' is no list of objects; {_REMEDY}")
    for number, stored in enumerate(stored_draws):
        draw: Draw = {}
        for direction in DIRECTIONS:
            if not isinstance(stored.get(direction, []), list):
                raise ValueError(f'{path}, draws[{number}].{direction} is no list; {_REMEDY}')
            draw[direction] = [
                _list(one, rows, f'{path}, draws[{number}].{direction}[{i}]')
                for i, one in enumerate(stored.get(direction, ()))
            ]
        draws.append(draw)
    if not draws or not any(any(draw.values()) for draw in draws):
        raise ValueError(f'{path}: it holds no list; {_REMEDY}')
    _warn_of_own_negatives(path, draws, records)
    return draws


def _warn_of_own_negatives(path: str, draws: Sequence[Draw], records: Sequence[Mapping]) -> None:
    """Files of others may hold them; those drawn here never do."""
    lists = [one for draw in draws for direction in draw.values() for one in direction]
    keys = [(record['product_id'], text_key(record['caption'])) for record in records]
    own = sum(
        any(ours == theirs for ours, theirs in zip(keys[row], keys[one.query]))
        for one in lists
        for row in one.candidates[1:]
    )
    if own:
        print_log(
            f'{path}: {own} negatives in {len(lists)} lists are of the product or the caption of '
            'the query; they count as wrong answers, as the file says',
            'current',
            level=30,
        )


def _list(names: Any, rows: Mapping[str, int], where: str) -> CandidateList:
    if (
        not isinstance(names, list)
        or len(names) < 2
        or not all(isinstance(name, str) for name in names)
    ):
        raise ValueError(f'{where}: a list of a query and at least one other id is needed')
    unknown = [name for name in names if name not in rows]
    if unknown:
        raise ValueError(
            f"{where}: the evaluated data has no '{unknown[0]}' ({len(unknown)} of {len(names)} "
            'ids unknown): was the file drawn from another split or another version of the data?'
        )
    found = tuple(rows[name] for name in names)
    return CandidateList(found[0], found)
