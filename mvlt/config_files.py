"""Config files: their paths, names and content.

A folder's ``_rows_.py`` holds configs that differ in a few values::

    with read_base():
        from ...pretrain_catalogue import *

    rows = {
        # this file with a value set
        'b2_unit_4': {'train_dataloader.dataset.dataset.pipeline.mask.alpha': 1},
        # this file, changed as the second config changes the first
        'a1_ratio_10': ('mvlt/pretrain_fashiongen', 'mvlt/ablations/a1_ratio_10'),
    }

A row is named as if a file of its name lay in that folder.
"""

import ast
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mvlt import HOME
from mvlt.mmengine_private import bases_in

PACKAGED = HOME / 'configs'
_ROWS = '_rows_.py'


def packaged_configs() -> list[str]:
    """Names of all packaged configs, rows included, sorted."""
    names = []
    for path in PACKAGED.glob('[!_]*/**/*.py'):
        folder = path.relative_to(PACKAGED).parent
        stems = _rows_of(path.parent) if path.name == _ROWS else [path.stem]
        names += [(folder / stem).as_posix() for stem in stems]
    return sorted(names)


def config_path(name_or_path: str | Path) -> Path:
    """The path of a config or row, given that path or a name like 'mvlt/pretrain_catalogue'.

    Raises:
        FileNotFoundError: no such file, name or row.
    """
    for path in (Path(name_or_path), PACKAGED / f'{name_or_path}.py'):
        if path.is_file() or (path.suffix == '.py' and path.stem in _rows_of(path.parent)):
            return path
    near = get_close_matches(str(name_or_path), packaged_configs(), n=1)
    hint = f'; did you mean {near[0]}?' if near else ''
    raise FileNotFoundError(
        f'{name_or_path}: no such config{hint} (configs/README.md lists them, so does '
        'mvlt.list_models())'
    )


def config_name(path: str | Path | None) -> str | None:
    """The name of a packaged config, the path of any other."""
    if path is not None and Path(path).is_relative_to(PACKAGED):
        return Path(path).relative_to(PACKAGED).with_suffix('').as_posix()
    return str(path) if path else None


def read_config(path: Path) -> dict[str, Any]:
    """The content of a config file or row; classes as their import paths.

    Args:
        path: of :func:`config_path`.

    Raises:
        KeyError: a row sets a value of a missing part.
        ValueError: the file changes a part that its base lacks, or inherits by ``_base_``.
    """
    if path.is_file():
        content = _read_file(path)
        content.pop('rows', None)
        return content
    content = _read_file(path.parent / _ROWS)
    row = content.pop('rows')[path.stem]
    if isinstance(row, dict):
        changes = [(tuple(key.split('.')), value) for key, value in row.items()]
    else:
        before, after = (read_config(config_path(name)) for name in row)
        changes = list(_changes(before, after))
    for key, value in changes:
        part: Any = content
        for name in key[:-1]:
            part = part.get(name) if isinstance(part, dict) else None
        if not isinstance(part, dict):
            raise KeyError(
                f"{path.parent / _ROWS}: row '{path.stem}' sets {'.'.join(key)}, but there is no "
                f'{".".join(key[:-1])}; set that whole part'
            )
        part[key[-1]] = value
    return content


def _rows_of(folder: Path) -> dict[str, Any]:
    """Row -> its changes, of a folder's ``_rows_.py``."""
    path = folder / _ROWS
    return _read_file(path).get('rows', {}) if path.is_file() else {}


def _changes(
    before: dict[str, Any], after: dict[str, Any], key: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(key, value) to set in ``before`` to get ``after``."""
    for name, value in after.items():
        old = before.get(name)
        if isinstance(old, dict) and isinstance(value, dict) and old.keys() <= value.keys():
            yield from _changes(old, value, (*key, name))
        elif name not in before or old != value:
            yield (*key, name), value


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with bases_in('mvlt', HOME):
            return Config.fromfile(path).to_dict()
    except AttributeError as error:
        raise ValueError(
            f'{path}: {error}: it changes an attribute of a part that its base lacks; give the '
            "whole part, e.g. model.backbone.init_cfg = dict(type=..., checkpoint='...')"
        ) from error
    except (RuntimeError, AssertionError) as error:  # mmengine's, of a base of another style
        bases = _classical_bases(path)
        if not bases:
            raise
        raise ValueError(
            f'{path}: _base_ = {bases} cannot inherit a config of this package. Replace it by '
            '`from mmengine.config import read_base` and `with read_base(): from '
            'mvlt.configs.mvlt.pretrain_catalogue import *`, and change attributes below it '
            '(configs/README.md, Inheriting)'
        ) from error


def _classical_bases(path: Path) -> str:
    """The source of what a file binds to ``_base_``, else ''."""
    for node in ast.parse(path.read_text('utf-8')).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_base_':
            return ast.unparse(node.value)
    return ''
