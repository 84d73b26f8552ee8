from .sheet import (
    Bar,
    Cell,
    Row,
    Section,
    draw,
    hide,
    in_rows,
    ranking_rows,
    reconstruction_cells,
)

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
