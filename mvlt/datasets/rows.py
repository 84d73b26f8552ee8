"""Records of a table, without a Python object for each."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from mvlt.datasets.catalogue_table import CatalogueTable


class Rows(Sequence):
    """Records of a table, created on access.

    The columns stay as they are: 500,000 products take tens of megabytes, not gigabytes, and
    splits and data workers share them.

    Args:
        table: an image a line.
        columns: columns that a record is made of.
        lines: lines of the table, int (n,).
        class_ids: category or attribute -> class ids, int32 (n,).
        make: row, cells and image path -> record.
    """

    def __init__(
        self,
        table: CatalogueTable,
        columns: Sequence[str],
        lines: np.ndarray,
        class_ids: Mapping[str, np.ndarray],
        make: Callable[[int, Mapping[str, str], str], dict[str, Any]],
    ) -> None:
        self.rows = table.rows
        self.columns = {name: table.columns[name] for name in columns}
        self.image_paths = table.image_paths
        self.lines = lines
        self.class_ids = class_ids
        self.make = make

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: Any) -> Any:
        """A record, or the records of a slice."""
        if isinstance(index, slice):
            part = copy(self)
            part.lines = self.lines[index]
            part.class_ids = {key: ids[index] for key, ids in self.class_ids.items()}
            return part
        line = int(self.lines[index])
        cells = {name: column[line].as_py() for name, column in self.columns.items()}
        record = self.make(int(self.rows[line]), cells, self.image_paths[line].as_py())
        return {**record, **{key: int(ids[index]) for key, ids in self.class_ids.items()}}
