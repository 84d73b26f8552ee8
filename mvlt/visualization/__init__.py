from .architecture import draw_architecture
from .attention import attention_rows, cls_attention
from .curves import draw_losses, plot_losses
from .examples import category_cells, in_rows, ranking_rows, reconstruction_cells
from .pictures import hide, picture_uri
from .report import write_report
from .sheet import Bar, Cell, Row, Section, write_sheet
from .steps import pipeline_rows

__all__ = [
    'Bar',
    'Cell',
    'Row',
    'Section',
    'attention_rows',
    'category_cells',
    'cls_attention',
    'draw_architecture',
    'draw_losses',
    'hide',
    'in_rows',
    'picture_uri',
    'pipeline_rows',
    'plot_losses',
    'ranking_rows',
    'reconstruction_cells',
    'write_report',
    'write_sheet',
]
