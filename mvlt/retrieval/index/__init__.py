"""Vectors of a catalogue's pictures, kept and searched: one interface, three stores."""

from importlib import import_module
from pathlib import Path

from mvlt.retrieval.index.arrays import ArrayIndex
from mvlt.retrieval.index.base import Index, IndexDescription
from mvlt.retrieval.index.filters import Kind, Where

__all__ = ['ArrayIndex', 'Index', 'IndexDescription', 'Kind', 'Where', 'open_index']


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
        return ArrayIndex(description)
    server = place.startswith(('http://', 'https://')) or place.endswith('.db')
    name, library, extra = (
        ('milvus', 'pymilvus', 'milvus') if server else ('lance', 'lancedb', 'index')
    )
    try:
        module = import_module(f'{__name__}.{name}')
    except ImportError as error:
        raise ValueError(f"{place}: needs {library}: pip install 'mvlt[{extra}]'") from error
    return (module.MilvusIndex if server else module.LanceIndex)(place, description)
