"""The first sheet of a spreadsheet, with bounds that hold before a reader fills its cells."""

import re
import zipfile
from pathlib import Path

import pandas as pd

_BLOCK = 1 << 20  # bytes
_MAX_UNPACKED = 500_000_000  # bytes
_MAX_CELLS = 10_000_000
_REFERENCE = re.compile(rb"""\sr\s*=\s*["']([A-Z]{1,3})(\d{1,7})["']""")  # of a cell: r="AB12"


def read_sheet(path: Path) -> pd.DataFrame:
    """Cells as text; ValueError if the file would fill the memory, or needs a package."""
    _check_size(path)
    try:
        table = pd.read_excel(path, dtype=str, keep_default_na=False, engine='calamine')
    except ImportError as error:
        raise ValueError("needs python-calamine: pip install 'mvlt[excel]'") from error
    unnamed = [name for name in table.columns if str(name).startswith('Unnamed: ')]
    return table.drop(columns=[name for name in unnamed if (table[name] == '').all()])


def _check_size(path: Path) -> None:
    """Refuse a spreadsheet that would fill the memory: a reader fills all cells up to the last.

    Raises:
        ValueError: more than ``_MAX_CELLS`` cells or ``_MAX_UNPACKED`` bytes.
    """
    if not zipfile.is_zipfile(path):  # .xls
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > _MAX_UNPACKED:
            raise ValueError(
                f'{unpacked / 1e6:.0f} MB unpacked, more than {_MAX_UNPACKED / 1e6:.0f}: save the '
                'sheet as CSV'
            )
        for name in archive.namelist():
            if not re.fullmatch(r'xl/.*sheet[^/]*\.xml', name):
                continue
            rows, columns, rest = 0, 0, b''
            with archive.open(name) as sheet:
                while block := sheet.read(_BLOCK):
                    for letters, row in _REFERENCE.findall(rest + block):
                        rows, columns = max(rows, int(row)), max(columns, _column(letters))
                    rest = block[-32:]
            if rows * columns > _MAX_CELLS:
                raise ValueError(
                    f'{name} has {rows:,} rows of {columns:,} columns up to its last cell, more '
                    f'than {_MAX_CELLS:,} cells; delete what lies far outside, or save as CSV'
                )


def _column(letters: bytes) -> int:
    """Number of a spreadsheet's column: A = 1, AA = 27."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number
