"""A table's rows as records, without a Python object for each."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa


class Rows(Sequence):
    """Records of a table, each made when it is asked for.

    The table stays in columns: 500,000 products take tens of megabytes, not gigabytes, and data
    workers share them.

    Args:
        table: text, a picture a line; its index is the row.
        ids: label -> class ids, int32, one a line.
        pictures: their paths, one a line.
        make: row, cells and picture -> record.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        ids: Mapping[str, np.ndarray],
        pictures: np.ndarray,
        make: Callable[[int, Mapping[str, str], str], dict[str, Any]],
    ) -> None:
        self.lines = table.index.to_numpy()
        self.columns = {name: pa.array(table[name], pa.large_string()) for name in table.columns}
        self.pictures = pa.array(pictures, pa.large_string())
        self.ids = ids
        self.make = make
        self.chosen = np.arange(len(self.lines))

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, place: Any) -> Any:
        """A record, or the rows of a slice."""
        if isinstance(place, slice):
            part = copy(self)
            part.chosen = self.chosen[place]
            return part
        i = int(self.chosen[place])
        cells = {name: column[i].as_py() for name, column in self.columns.items()}
        record = self.make(int(self.lines[i]), cells, self.pictures[i].as_py())
        return {**record, **{level: int(ids[i]) for level, ids in self.ids.items()}}
