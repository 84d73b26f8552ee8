"""A table's lines as records, without a Python object for each."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from mvlt.datasets.catalogue_table import CatalogueTable


class Rows(Sequence):
    """Records of a table, each made when it is asked for.

    The table stays in columns: 500,000 products take tens of megabytes, not gigabytes; splits and
    data workers share them.

    Args:
        table: a picture a line.
        columns: those that a record is made of.
        chosen: int (n,), its lines.
        ids: label -> class ids, int32 (n,).
        make: row, cells and picture -> record.
    """

    def __init__(
        self,
        table: CatalogueTable,
        columns: Sequence[str],
        chosen: np.ndarray,
        ids: Mapping[str, np.ndarray],
        make: Callable[[int, Mapping[str, str], str], dict[str, Any]],
    ) -> None:
        self.rows = table.rows
        self.columns = {name: table.columns[name] for name in columns}
        self.pictures = table.pictures
        self.chosen = chosen
        self.ids = ids
        self.make = make

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, place: Any) -> Any:
        """A record, or the records of a slice."""
        if isinstance(place, slice):
            part = copy(self)
            part.chosen = self.chosen[place]
            part.ids = {label: ids[place] for label, ids in self.ids.items()}
            return part
        i = int(self.chosen[place])
        cells = {name: column[i].as_py() for name, column in self.columns.items()}
        record = self.make(int(self.rows[i]), cells, self.pictures[i].as_py())
        return {**record, **{label: int(ids[place]) for label, ids in self.ids.items()}}
