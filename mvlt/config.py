"""From a config file and the command line to the one config that is run."""

import inspect
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from pprint import pformat
from typing import Any

from mmengine.config import Config
from mmengine.registry.utils import init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mvlt import HOME, registry
from mvlt.mmengine_private import bases_in
from mvlt.structures import CATEGORIES

# the configs that come with the package, an installed one too
PACKAGED = HOME / 'configs'


class RunConfig(Config):
    """mmengine's Config, whose text keeps the order of keys: a pipeline's is its meaning."""

    @property
    def pretty_text(self) -> str:
        """Python that gives the same config."""
        return ''.join(
            f'{key} = {pformat(value, width=100, sort_dicts=False)}\n'
            for key, value in self.to_dict().items()
        )


def config_path(name_or_path: str | Path) -> Path:
    """A config file, or the packaged one of a name like 'mvlt/pretrain_catalogue'.

    Raises:
        FileNotFoundError: there is neither.
    """
    packaged = PACKAGED / f'{name_or_path}.py'
    for path in (Path(name_or_path), packaged):
        if path.is_file():
            return path
    names = [
        str(one.relative_to(PACKAGED).with_suffix('')) for one in PACKAGED.glob('[!_]*/**/*.py')
    ]
    near = get_close_matches(str(name_or_path), names, n=1)
    hint = f'; did you mean {near[0]}?' if near else ''
    raise FileNotFoundError(
        f'{name_or_path}: no such config{hint} (configs/README.md lists them, so does '
        'mvlt.list_models())'
    )


def config_name(path: str | Path | None) -> str | None:
    """A config file as a reader would name it: a packaged one by its name, others by their path."""
    if path is not None and Path(path).is_relative_to(PACKAGED):
        return str(Path(path).relative_to(PACKAGED).with_suffix(''))
    return str(path) if path else None


def load_config(
    path: str | Path,
    options: Mapping[str, Any] | None = None,
    data_root: str | None = None,
) -> Config:
    """Read a config, or a packaged one by its name, as file and command line say it.

    No data are opened: :func:`mvlt.engine.resolve` writes in what only data and model know.

    Args:
        path: a file or a name like 'mvlt/pretrain_catalogue'.
        options: dotted key -> value (``--cfg-options``); unknown keys are refused.
        data_root: replaces the config's own at the start of every path in it.

    Raises:
        FileNotFoundError, KeyError, ValueError: no such config; an unknown key; wrong data.
    """
    path = config_path(path)
    # classes become their import paths: plain data, which dumps and reloads unchanged
    try:
        with bases_in('mvlt', HOME):
            content = Config.fromfile(path).to_dict()
    except AttributeError as error:
        raise ValueError(
            f'{path}: {error}: it changes an attribute of a part that its base does not have; give '
            "the whole part, e.g. model.backbone.init_cfg = dict(type=..., checkpoint='...')"
        ) from error
    if data_root is not None:
        content = _moved(content, data_root, str(path))
    config = RunConfig(content, filename=str(path))
    init_default_scope(config.get('default_scope', 'mvlt'))
    for key in options or {}:
        _check_key(config, key)
    config.merge_from_dict(dict(options or {}))
    return config


def section(config: Config, name: str, example: str) -> Any:
    """A part of the config that a tool cannot do without.

    Raises:
        ValueError: it is not there; the message names ``example``, a config that has it.
    """
    if config.get(name) is None:
        raise ValueError(f'{config.filename} has no {name}; take a config that has, e.g. {example}')
    return config[name]


def _moved(content: dict[str, Any], data_root: str, path: str) -> dict[str, Any]:
    """With the prefix ``data_root`` of every string value replaced."""
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


def _check_key(config: Config, key: str) -> None:
    """Refuse a key that nothing would read: a typing error must not run for days."""
    *parents, leaf = key.split('.')
    top = key.split('.')[0]
    if top in config and top not in _SECTIONS:
        raise KeyError(
            f"--cfg-options {key}: '{top}' only helps the file to write its other values, which "
            f'are settled by now; set those (for data_root: --data-root). Legal: '
            f'{", ".join(name for name in config if name in _SECTIONS)}'
        )
    place: Any = config.to_dict()
    for i, name in enumerate(parents):
        known = _children(place)
        if name not in known:
            protocol = ". It is a protocol: the model is the checkpoint's" if top == 'model' else ''
            raise KeyError(
                f"--cfg-options {key}: there is no '{'.'.join(parents[: i + 1])}' in "
                f'{config.filename}; beside it are: {", ".join(known)}{protocol}'
            )
        place = place[int(name)] if isinstance(place, list | tuple) else place[name]
    legal = {*_children(place), *_arguments(place)}
    if len(parents) == 1 and parents[0].endswith('_dataloader'):
        legal.update(_LOADER)
    if leaf not in legal:
        raise KeyError(
            f"--cfg-options {key}: '{leaf}' is unknown here; legal: {', '.join(sorted(legal))}"
        )


def _children(place: Any) -> list[str]:
    if isinstance(place, list | tuple):
        return [str(i) for i in range(len(place))]
    return list(place) if isinstance(place, dict) else []


def _arguments(place: Any) -> list[str]:
    """Arguments of the class that a dict with ``type`` describes, its bases' included."""
    if not isinstance(place, dict) or 'type' not in place:
        return []
    found = (_find(name, str(place['type'])) for name in _REGISTRIES)
    kind: Any = next(filter(None, found), None)
    if kind is None:
        return []
    names: list[str] = []
    for one in inspect.getmro(kind) if inspect.isclass(kind) else (kind,):
        try:
            parameters = inspect.signature(one).parameters.values()
        except (TypeError, ValueError):
            break
        names += [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names


# what a Runner reads of a config, and what a data loader takes
_SECTIONS = {*inspect.signature(Runner.__init__).parameters}
_LOADER = {*inspect.signature(DataLoader.__init__).parameters} - {'self', 'dataset'}
_REGISTRIES = ('MODELS', 'DATASETS', 'TRANSFORMS', 'METRICS', 'HOOKS', 'LOOPS')


def _find(name: str, kind: str) -> type | None:
    try:
        return getattr(registry, name).get(kind)
    except KeyError:
        return None


def heads_of(model: Mapping[str, Any] | None) -> dict[str, Any]:
    """Name -> settings of the heads that a model's settings build."""
    return {name: head for name, head in ((model or {}).get('heads') or {}).items() if head}


def with_classes(
    model: Mapping[str, Any], classes: Mapping[str, Sequence[str]], source: str
) -> dict[str, Any]:
    """Settings of a model whose heads have as many classes as ``classes`` names.

    A head with ``for_each`` becomes one for each such label, ``suffix`` behind its name;
    ``num_classes='data'`` becomes the number of classes of the head's label.

    Args:
        model: settings; they stay as they are. ``for_each`` is 'category' (main and sub-category),
            'attribute' (what else is known) or 'label' (all).
        classes: label -> names.
        source: of the classes, named in errors.

    Raises:
        KeyError, ValueError: a label has no classes; another ``for_each``.
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
                    'in `columns`, or take the head out of the config'
                )
            heads[name] = {**head, 'num_classes': len(classes[label])}
    return {**model, 'heads': heads} if 'heads' in model else dict(model)


def counts_classes(model: Mapping[str, Any] | None) -> bool:
    """Whether a head of a model's settings has as many classes as the data."""
    heads = heads_of(model).values()
    return any('for_each' in head or head.get('num_classes') == 'data' for head in heads)


def labels_of(metainfo: Mapping[str, Any]) -> list[str]:
    """Labels whose classes a dataset's ``metainfo`` names, in their order."""
    return [key.removesuffix('_trained') for key in metainfo if key.endswith('_trained')]


def known_classes(metainfo: Mapping[str, Any]) -> dict[str, list[str]]:
    """Label -> names of the classes that training has seen, of a dataset's ``metainfo``."""
    classes = {}
    for label in dict.fromkeys((*CATEGORIES, *labels_of(metainfo))):
        names = list(metainfo.get(label) or ())
        if names:
            classes[label] = names[: metainfo.get(f'{label}_trained', len(names))]
    return classes
