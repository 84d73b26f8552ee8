from .examples import in_rows, ranking_rows, reconstruction_cells
from .sheet import Bar, Cell, Row, Section, draw, hide

__all__ = [
    'Bar',
    'Cell',
    'Row',
    'Section',
    'draw',
    'hide',
    'in_rows',
    'ranking_rows',
    'reconstruction_cells',
]
