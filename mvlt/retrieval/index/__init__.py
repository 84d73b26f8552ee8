"""Embeddings of a gallery, stored and searched: one interface, three stores."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from mvlt.retrieval.index.base import Index, IndexDescription
from mvlt.retrieval.index.filters import Kind, Where
from mvlt.retrieval.index.memory import MemoryIndex

__all__ = [
    'Index',
    'IndexDescription',
    'Kind',
    'MemoryIndex',
    'Where',
    'default_place',
    'open_index',
]


def default_place(gallery: Any, fingerprint: str) -> str:
    """Where tools, page and service keep the index of a gallery unless they are told otherwise.

    Args:
        gallery: a path; other galleries live in memory.
        fingerprint: hash of the model, so that two models of a catalogue do not meet.
    """
    if not isinstance(gallery, str | Path):
        return 'memory'
    name = re.sub(r'[^\w.-]+', '_', str(Path(gallery).resolve())).strip('_')
    return f'work_dirs/index/{name[-100:]}-{fingerprint[:8]}'


def open_index(place: str | Path, description: IndexDescription | None = None) -> Index:
    """The store that a place names.

    Args:
        place: a folder (LanceDB), a Milvus server's address or a file of Milvus Lite (``.db``),
            or 'memory'.
        description: makes a new index; None opens what is there.

    Raises:
        FileNotFoundError, ValueError: there is none, or none that can be read; the library of
            the store is not installed.
    """
    place = str(place)
    if place == 'memory':
        if description is None:
            raise FileNotFoundError('memory: an index in memory is built, never opened')
        return MemoryIndex(description)
    server = place.startswith(('http://', 'https://')) or place.endswith('.db')
    name, library, extra = (
        ('milvus', 'pymilvus', 'milvus') if server else ('lance', 'lancedb', 'index')
    )
    try:
        module = import_module(f'{__name__}.{name}')
    except ImportError as error:
        raise ValueError(f"{place}: needs {library}: pip install 'mvlt[{extra}]'") from error
    return (module.MilvusIndex if server else module.LanceIndex)(place, description)
