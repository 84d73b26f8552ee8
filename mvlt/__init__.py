"""MVLT, the Masked Vision-Language Transformer for fashion, as OpenMMLab components."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mvlt.checkpoints import get_model, list_models

__version__ = '0.1.0'
__all__ = ['HOME', '__version__', 'get_model', 'list_models']

_HERE = Path(__file__).resolve().parent
# the folder of configs/ and tools/: in a wheel .mim, else the repository
HOME = _HERE / '.mim' if (_HERE / '.mim').is_dir() else _HERE.parent


def __getattr__(name: str) -> Any:
    if name in ('get_model', 'list_models'):  # they import PyTorch
        from mvlt import checkpoints

        return getattr(checkpoints, name)
    raise AttributeError(f'module {__name__} has no {name}')
