"""From a config file and the command line to the config that runs."""

import inspect
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from pprint import pformat
from typing import Any

from mmengine.config import Config
from mmengine.registry.utils import init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mvlt.config_files import config_path, read_config
from mvlt.registry import DATASETS, HOOKS, LOOPS, METRICS, MODELS, TRANSFORMS
from mvlt.structures import CATEGORIES


class RunConfig(Config):
    """mmengine's Config, whose text keeps the order of keys, e.g. of a pipeline's steps."""

    @property
    def pretty_text(self) -> str:
        """Python that gives the same config."""
        return ''.join(
            f'{key} = {pformat(value, width=100, sort_dicts=False)}\n'
            for key, value in self.to_dict().items()
        )


def load_config(
    path: str | Path, options: Mapping[str, Any] | None = None, data_root: str | None = None
) -> Config:
    """Read a config and apply the command line's values.

    It opens no data: :func:`mvlt.engine.resolve` adds what data and model decide.

    Args:
        path: a file or a packaged name like 'mvlt/pretrain_catalogue'.
        options: dotted key -> value (``--cfg-options``).
        data_root: replaces the config's ``data_root`` at the start of every path.

    Raises:
        FileNotFoundError, KeyError, ValueError: no such config; an unknown key; wrong data.
    """
    path = config_path(path)
    content = read_config(path)
    if data_root is not None:
        content = _moved(content, data_root, str(path))
    config = RunConfig(content, cfg_text=str(path), filename=str(path))
    init_default_scope(config.get('default_scope', 'mvlt'))
    for key in options or {}:
        _check_key(config, key)
    config.merge_from_dict(dict(options or {}))
    _fill_image_size(config, options or {})
    _fill_split_by(config, options or {})
    return config


def section(config: Config, name: str, example: str) -> Any:
    """A part of the config that a tool needs.

    Raises:
        ValueError: it is missing; the message names ``example``, a config that has it.
    """
    if config.get(name) is None:
        raise ValueError(f'{config.filename} has no {name}; take a config that has, e.g. {example}')
    return config[name]


def _moved(content: dict[str, Any], data_root: str, path: str) -> dict[str, Any]:
    """Replace the prefix ``data_root`` of every string value."""
    old = content.get('data_root')
    if old is None:
        raise KeyError(f'{path} has no data_root that --data-root could replace')

    def moved(value: Any) -> Any:
        if isinstance(value, str) and (value == old or value.startswith(f'{old}/')):
            return data_root + value[len(old) :]
        if isinstance(value, dict):
            return {key: moved(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(moved(item) for item in value)
        return value

    return moved(content)


def _fill_image_size(config: Config, options: Mapping[str, Any]) -> None:
    """Replace 'image_size' and 'image_size * 1.75' by their numbers."""
    size = config.get('image_size')
    count = 0

    def filled(value: Any, key: str = '') -> Any:
        nonlocal count
        if isinstance(value, dict):
            for name in value:
                value[name] = filled(value[name], name)
        elif isinstance(value, list | tuple):
            return type(value)(filled(item, key) for item in value)
        elif key in _SIZES and isinstance(value, str) and (match := _SIZE.fullmatch(value)):
            if not isinstance(size, int) or size < 1:
                raise ValueError(
                    f'{config.filename}: image_size={size}; give the side of the square images in '
                    'pixels, e.g. image_size = 64 (most backbones need a multiple of 32)'
                )
            count += 1
            return round(size * float(match[1] or 1))
        return value

    for key in config:
        config[key] = filled(config[key], key)
    if 'image_size' not in options:
        return
    if config.get('model') is None:
        raise KeyError(
            f'--cfg-options image_size: {config.filename} is a protocol; it reads images at the '
            "size of the checkpoint's model"
        )
    if not count:
        raise KeyError(
            f'--cfg-options image_size: nothing in {config.filename} follows from it; a dump holds '
            'the numbers themselves, take the recipe'
        )
    side = (config.model.get('backbone') or {}).get('image_size', size)
    if side != size and 'model.backbone.image_size' not in options:
        raise ValueError(
            f'--cfg-options image_size={size}: model.backbone.image_size is fixed to {side} in '
            f"{config.filename}; write image_size='image_size' there"
        )


def _fill_split_by(config: Config, options: Mapping[str, Any]) -> None:
    """Replace the value 'split_by' of each dataset's ``split_by``."""
    count = 0
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        dataset = (config.get(loader) or {}).get('dataset')
        while dataset is not None:
            if dataset.get('split_by') == 'split_by':
                dataset.split_by = config.get('split_by')
                count += 1
            dataset = dataset.get('dataset')
    if 'split_by' in options and not count:
        raise KeyError(
            f'--cfg-options split_by: no dataset of {config.filename} follows it; a dump holds the '
            'value itself, take the recipe'
        )


def _check_key(config: Config, key: str) -> None:
    """Refuse a key that nothing reads: a typing error must not run for days."""
    *parents, leaf = key.split('.')
    top = key.split('.')[0]
    if top in config and top not in _SECTIONS:
        raise KeyError(
            f"--cfg-options {key}: '{top}' only helps the file to write its other values; set "
            f'those (for data_root: --data-root). Legal: '
            f'{", ".join(name for name in config if name in _SECTIONS)}'
        )
    part: Any = config.to_dict()
    for i, name in enumerate(parents):
        children = _children(part)
        if name not in children:
            protocol = ". It is a protocol: the model is the checkpoint's" if top == 'model' else ''
            raise KeyError(
                f"--cfg-options {key}: there is no '{'.'.join(parents[: i + 1])}' in "
                f'{config.filename}; beside it are: {", ".join(children)}{protocol}'
            )
        part = part[int(name)] if isinstance(part, list | tuple) else part[name]
    legal = {*_children(part), *_arguments(part)}
    if len(parents) == 1 and parents[0].endswith('_dataloader'):
        legal.update(_LOADER)
    if leaf not in legal:
        raise KeyError(
            f"--cfg-options {key}: '{leaf}' is unknown here; legal: {', '.join(sorted(legal))}"
        )


def _children(part: Any) -> list[str]:
    if isinstance(part, list | tuple):
        return [str(i) for i in range(len(part))]
    return list(part) if isinstance(part, dict) else []


def _arguments(part: Any) -> list[str]:
    """Arguments of the class that ``type`` names, with those of its bases."""
    if not isinstance(part, dict) or 'type' not in part:
        return []
    kind: Any = None
    for registry in (MODELS, DATASETS, TRANSFORMS, METRICS, HOOKS, LOOPS):
        with suppress(KeyError):
            kind = kind or registry.get(str(part['type']))
    names: list[str] = []
    with suppress(TypeError, ValueError):  # of what has no signature
        for base in inspect.getmro(kind) if inspect.isclass(kind) else (kind,):
            parameters = inspect.signature(base).parameters.values()
            names += [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    return names


_SECTIONS = {*inspect.signature(Runner.__init__).parameters, 'image_size', 'split_by'}
_LOADER = {*inspect.signature(DataLoader.__init__).parameters} - {'self', 'dataset'}
_SIZES = ('image_size', 'scale', 'side')  # arguments that may follow from image_size
_SIZE = re.compile(r'image_size(?: \* (\d+(?:\.\d+)?))?')


def heads_of(model: Mapping[str, Any] | None) -> dict[str, Any]:
    """Name -> settings of a model's heads that are not None."""
    return {name: head for name, head in ((model or {}).get('heads') or {}).items() if head}


def with_classes(
    model: Mapping[str, Any], classes: Mapping[str, Sequence[str]], source: str
) -> dict[str, Any]:
    """Settings of a model whose heads have as many classes as the data.

    A head with ``for_each`` becomes a head of each such label, with ``suffix`` behind its name;
    ``num_classes='data'`` becomes the number of classes of the head's label.

    Args:
        model: settings, not changed. ``for_each`` is 'category' (main and sub-category),
            'attribute' (the other labels) or 'label' (all).
        classes: label -> names.
        source: of the classes, for errors.

    Raises:
        KeyError, ValueError: a label without classes; an unknown ``for_each``.
    """
    kinds = dict(
        label=list(classes),
        category=[label for label in classes if label in CATEGORIES],
        attribute=[label for label in classes if label not in CATEGORIES],
    )
    heads: dict[str, Any] = {}
    for name, head in (model.get('heads') or {}).items():
        if not head or 'for_each' not in head:
            heads[name] = head
            continue
        kind = head['for_each']
        if kind not in kinds:
            raise ValueError(f"model.heads.{name}.for_each='{kind}'; legal: {', '.join(kinds)}")
        settings = {key: head[key] for key in head if key not in ('for_each', 'suffix')}
        for label in kinds[kind]:
            heads[f'{label}{head.get("suffix", "")}'] = {**settings, 'label': label}
    for name, head in heads.items():
        if head and head.get('num_classes') == 'data':
            label = head.get('label', name)
            if not classes.get(label):
                raise KeyError(
                    f"model.heads.{name}: {source} has no '{label}'; name its column "
                    'in `columns`, or remove the head from the config'
                )
            heads[name] = {**head, 'num_classes': len(classes[label])}
    return {**model, 'heads': heads} if 'heads' in model else dict(model)


def counts_classes(model: Mapping[str, Any] | None) -> bool:
    """Whether the number of classes of a head follows from the data."""
    heads = heads_of(model).values()
    return any('for_each' in head or head.get('num_classes') == 'data' for head in heads)


def labels_of(metainfo: Mapping[str, Any]) -> list[str]:
    """Labels whose classes a dataset's ``metainfo`` names."""
    return [key.removesuffix('_trained') for key in metainfo if key.endswith('_trained')]


def known_classes(metainfo: Mapping[str, Any]) -> dict[str, list[str]]:
    """Label -> names of the classes that training has seen, of a dataset's ``metainfo``."""
    labels = filter(metainfo.get, dict.fromkeys((*CATEGORIES, *labels_of(metainfo))))
    return {label: [*metainfo[label]][: metainfo.get(f'{label}_trained')] for label in labels}
