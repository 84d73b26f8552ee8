"""Vector stores of a gallery's embeddings: one interface, three stores."""

import re
from importlib import import_module
from pathlib import Path

from mvlt.retrieval.index.base import Index, IndexDescription
from mvlt.retrieval.index.filters import Kind, Where
from mvlt.retrieval.index.memory import MemoryIndex
from mvlt.retrieval.records import Source

__all__ = [
    'Index',
    'IndexDescription',
    'Kind',
    'MemoryIndex',
    'Where',
    'default_location',
    'open_index',
]


def default_location(gallery: Source, fingerprint: str) -> str:
    """The default folder of a gallery's index, one for each model.

    Args:
        gallery: a path; the index of any other gallery lives in memory.
        fingerprint: hash of the model.
    """
    if not isinstance(gallery, str | Path):
        return 'memory'
    name = re.sub(r'[^\w.-]+', '_', str(Path(gallery).resolve())).strip('_')
    return f'work_dirs/index/{name[-100:]}-{fingerprint[:8]}'


def open_index(location: str | Path, description: IndexDescription | None = None) -> Index:
    """Open or create an index.

    Args:
        location: a folder (LanceDB), the address of a Milvus server, a file of Milvus Lite
            (``.db``), or 'memory'.
        description: of a new index; None opens an existing index.

    Raises:
        FileNotFoundError, ValueError: no index there, or a damaged one; the store's library is not
            installed.
    """
    location = str(location)
    if location == 'memory':
        if description is None:
            raise FileNotFoundError('memory: an index in memory is built, never opened')
        return MemoryIndex(description)
    server = location.startswith(('http://', 'https://')) or location.endswith('.db')
    name, library, extra = (
        ('milvus', 'pymilvus', 'milvus') if server else ('lance', 'lancedb', 'index')
    )
    try:
        module = import_module(f'{__name__}.{name}')
    except ImportError as error:
        raise ValueError(f"{location}: needs {library}: pip install 'mvlt[{extra}]'") from error
    return (module.MilvusIndex if server else module.LanceIndex)(location, description)
