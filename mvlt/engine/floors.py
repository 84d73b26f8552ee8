"""Floors of a protocol, stored: what a metric must be compared with.

``tools/analysis_tools/floors.py`` measures them. A test of the same protocol on the same data finds
them by :func:`floor_key`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mvlt.files import read_json, write_json

FOLDER = 'work_dirs/floors'
# of a protocol: what the model decides, and what does not change the queries
_OF_THE_MODEL = ('rerank', 'rerank_topk', 'name', 'ties')

_SHOWN = ('/R@1', '/P@10', '/accuracy')

Floors = Mapping[str, Mapping[str, float]]


def floor_key(records: Sequence[Mapping[str, Any]], protocol: Mapping[str, Any]) -> str:
    """Hash of what decides a floor: the tested products and captions, and the protocol."""
    rows = [(record.get('product_id'), record.get('caption')) for record in records]
    settings = {name: protocol[name] for name in sorted({*protocol} - {*_OF_THE_MODEL})}
    content = json.dumps([rows, settings], default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def write_floors(key: str, floors: Floors, about: Mapping[str, Any]) -> Path:
    """Store floors, name -> metrics, with settings that readers need; the file."""
    path = Path(FOLDER) / f'{key}.json'
    write_json(path, dict(about, floors=floors))
    return path


def read_floors(key: str) -> Floors:
    """The stored floors, {} if none are."""
    path = Path(FOLDER) / f'{key}.json'
    if not path.is_file():
        return {}
    return read_json(str(path), 'tools/analysis_tools/floors.py writes it')['floors']


def shared_floors(floors: Floors, metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """The metrics of each floor that a test has, too; without floors that have none."""
    shared = {
        floor: {name: value for name, value in of.items() if name in metrics}
        for floor, of in floors.items()
    }
    return {floor: of for floor, of in shared.items() if of}


def above_floors(metrics: Mapping[str, float], floors: Floors) -> list[str]:
    """A line per R@1, P@10 and accuracy: its distance to the best floor.

    Example:
        'retrieval/tir/R@1 54.9: 6.5 above the best floor, 48.4 (ridge_frozen)'.
    """
    lines = []
    for name in (name for name in metrics if name.endswith(_SHOWN)):
        values = {floor: of[name] for floor, of in floors.items() if name in of}
        if not values:
            continue
        best = max(values, key=lambda floor: values[floor])
        distance = metrics[name] - values[best]
        lines.append(
            f'{name} {metrics[name]:.1f}: {abs(distance):.1f} '
            f'{"above" if distance >= 0 else "BELOW"} the best floor, {values[best]:.1f} ({best})'
        )
    return lines
