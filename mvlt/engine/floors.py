"""Floors of a protocol, stored: what a metric must be compared with.

``tools/analysis_tools/floors.py`` measures them. A test of the same protocol on the same data finds
them by :func:`floor_key`.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mvlt.config import labels_of
from mvlt.datasets import PairDataset
from mvlt.files import read_json, write_json

FOLDER = 'work_dirs/floors'
# of a protocol: what the model decides, and what does not change the queries
_OF_THE_MODEL = ('rerank', 'rerank_topk', 'name', 'ties', 'candidates')

_SHOWN = ('/R@1', '/P@10', '/accuracy')

Floors = Mapping[str, Mapping[str, float]]


def floor_key(dataset: PairDataset, protocol: Mapping[str, Any]) -> str:
    """Hash of what decides a floor: the tested products, images, captions and classes, by name, and
    the protocol."""
    labels = labels_of(dataset.metainfo)
    rows = []
    for index in range(len(dataset)):
        record = dataset.get_data_info(index)
        image = record.get('img_path')
        rows.append(
            (
                record.get('product_id'),
                record.get('caption'),
                # not its folder, which differs between machines
                index if image is None else Path(image).name,
                *(_class_of(dataset, record, label) for label in labels),
            )
        )
    settings = {name: protocol[name] for name in sorted({*protocol} - {*_OF_THE_MODEL})}
    content = json.dumps([labels, rows, settings], default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _class_of(dataset: PairDataset, record: Mapping[str, Any], label: str) -> str | None:
    number = record.get(label, -1)
    return dataset.metainfo[label][number] if isinstance(number, int) and number >= 0 else None


def write_floors(key: str, floors: Floors, train_size: int, config: str) -> Path:
    """Add floors, name -> metrics, to those of the key; the file.

    Figures that were learnt from more products stay.
    """
    path = Path(FOLDER) / f'{key}.json'
    stored: dict[str, Any] = dict(train_size=0, floors={})
    if path.is_file():
        stored = read_json(str(path), 'delete it')
    old, new = stored['floors'], dict(floors)
    if stored['train_size'] > train_size:
        print_log(
            f'{path}: keeps the floors that were learnt from {stored["train_size"]} products',
            'current',
            level=30,
        )
        old, new, train_size = new, old, stored['train_size']
    merged = {name: {**old.get(name, {}), **new.get(name, {})} for name in {**old, **new}}
    write_json(path, dict(config=config, train_size=train_size, floors=merged))
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
