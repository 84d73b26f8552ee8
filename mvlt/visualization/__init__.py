from .curves import plot_losses
from .examples import category_examples, ranking_examples, reconstruction_examples
from .pictures import picture_uri
from .report import write_report

__all__ = [
    'category_examples',
    'picture_uri',
    'plot_losses',
    'ranking_examples',
    'reconstruction_examples',
    'write_report',
]
