"""From a config file and the command line to the one config that is run."""

import inspect
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from pprint import pformat
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.registry.utils import init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mvlt import registry
from mvlt.structures import CATEGORIES

# the configs that come with the package, an installed one too
PACKAGED = Path(__file__).parent / 'configs'


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
    count: bool = True,
) -> Config:
    """Read a config, or a packaged one by its name, and settle what only user and data know.

    1. ``data_root`` replaces the config's own at the start of every path in it.
    2. ``options`` (``--cfg-options``) override values; unknown keys are refused.
    3. Schedulers by name become the list that mmengine takes; hooks of ``default_hooks`` that are
       None are left out; without ``val_cfg`` nothing is validated.
    4. ``num_classes='data'`` of a head becomes the number of classes in the training data, a head
       with ``for_each`` one head for each label there, unless ``count`` is False (the data
       may not be there yet).

    The result is flat: dumped, it reruns the experiment.

    Raises:
        FileNotFoundError, KeyError, ValueError: no such config; an unknown key; wrong data.
    """
    path = config_path(path)
    # classes become their import paths: plain data, which dumps and reloads unchanged
    try:
        config = RunConfig(Config.fromfile(path).to_dict(), filename=str(path))
    except AttributeError as error:
        raise ValueError(
            f'{path}: {error}: it changes an attribute of a part that its base does not have; give '
            "the whole part, e.g. model.backbone.init_cfg = dict(type=..., checkpoint='...')"
        ) from error
    init_default_scope(config.get('default_scope', 'mvlt'))
    if data_root is not None:
        _move(config, data_root)
    for key in options or {}:
        _check_key(config, key)
    config.merge_from_dict(dict(options or {}))
    _settle_names(config)
    if count:
        _count_classes(config)
    return config


def _settle_names(config: Config) -> None:
    for name in ('itm_head', 'mlm_head', 'mir_head', 'category_heads'):
        if name in (config.get('model') or {}):
            raise KeyError(
                f'{config.filename}: model.{name} of earlier versions is a head by name now: '
                'model.heads.itm, .mlm, .mir, .main_category, ... (CHANGELOG.md)'
            )
    schedulers = config.get('param_scheduler')
    if isinstance(schedulers, dict) and 'type' not in schedulers:
        schedulers = list(schedulers.values())
    if isinstance(schedulers, list):  # of a dump, too
        loop = config.get('train_cfg') or {}
        by_epoch = 'max_epochs' in loop
        length = loop.get('max_epochs' if by_epoch else 'max_iters', float('inf'))

        def acts(one: Mapping[str, Any]) -> bool:
            """Not one that would begin when a short training is over."""
            same_unit = one.get('by_epoch', True) == by_epoch
            return 'end' in one or not same_unit or one.get('begin', 0) < length

        config.param_scheduler = [one for one in filter(None, schedulers) if acts(one)]
    if 'val_cfg' in config and config.val_cfg is None:
        config.val_dataloader = config.val_evaluator = None
    hooks = config.get('default_hooks') or {}
    for name in [name for name in hooks if hooks[name] is None and name not in _MMENGINE_HOOKS]:
        del hooks[name]


def section(config: Config, name: str, example: str) -> Any:
    """A part of the config that a tool cannot do without.

    Raises:
        ValueError: it is not there; the message names ``example``, a config that has it.
    """
    if config.get(name) is None:
        raise ValueError(f'{config.filename} has no {name}; take a config that has, e.g. {example}')
    return config[name]


def _move(config: Config, data_root: str) -> None:
    """Replace the prefix ``config.data_root`` of every string value."""
    old = config.get('data_root')
    if old is None:
        raise KeyError(f'{config.filename} has no data_root that --data-root could replace')

    def moved(value: Any) -> Any:
        if isinstance(value, str) and (value == old or value.startswith(f'{old}/')):
            return data_root + value[len(old) :]
        if isinstance(value, dict):
            for key in value:
                value[key] = moved(value[key])
        elif isinstance(value, list | tuple):
            return type(value)(moved(one) for one in value)
        return value

    moved(config._cfg_dict)


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
    place: Any = config._cfg_dict
    for i, name in enumerate(parents):
        known = _children(place)
        if name not in known:
            raise KeyError(
                f"--cfg-options {key}: there is no '{'.'.join(parents[: i + 1])}' in "
                f'{config.filename}; beside it are: {", ".join(known)}'
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
_MMENGINE_HOOKS = (
    'runtime_info',
    'timer',
    'sampler_seed',
    'logger',
    'param_scheduler',
    'checkpoint',
)
_REGISTRIES = ('MODELS', 'DATASETS', 'TRANSFORMS', 'METRICS', 'HOOKS', 'LOOPS')


def _find(name: str, kind: str) -> type | None:
    try:
        return getattr(registry, name).get(kind)
    except KeyError:
        return None


def heads_of(model: Mapping[str, Any] | None) -> dict[str, Any]:
    """Name -> settings of the heads that a model's settings build."""
    return {name: head for name, head in ((model or {}).get('heads') or {}).items() if head}


def count_later(model: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """Labels and settings of the heads whose number of classes the data decide."""
    return [
        (head.get('label', name), head)
        for name, head in heads_of(model).items()
        if head.get('num_classes') == 'data'
    ]


def spread_heads(model: Mapping[str, Any] | None, labels: Sequence[str]) -> None:
    """A head with ``for_each`` becomes one for each such label, ``suffix`` behind its name.

    Args:
        model: settings, changed in place. ``for_each`` is 'category' (main and sub-category),
            'attribute' (what else is known) or 'label' (all).
        labels: what the training data knows of products.

    Raises:
        ValueError: another ``for_each``.
    """
    attributes = [label for label in labels if label not in CATEGORIES]
    categories = [label for label in labels if label in CATEGORIES]
    kinds = dict(label=list(labels), category=categories, attribute=attributes)
    for name, head in heads_of(model).items():
        if 'for_each' not in head:
            continue
        kind = head.pop('for_each')
        if kind not in kinds:
            raise ValueError(f"model.heads.{name}.for_each='{kind}'; legal: {', '.join(kinds)}")
        suffix = head.pop('suffix', '')
        del model['heads'][name]  # type: ignore[index]
        for label in kinds[kind]:
            model['heads'][f'{label}{suffix}'] = {**head, 'label': label}  # type: ignore[index]


def labels_of(metainfo: Mapping[str, Any]) -> list[str]:
    """Labels whose classes a dataset's ``metainfo`` names, in their order."""
    return [key.removesuffix('_trained') for key in metainfo if key.endswith('_trained')]


def _count_classes(config: Config) -> None:
    heads = count_later(config.get('model'))
    if not heads:
        return
    if config.get('train_dataloader') is None:
        raise KeyError(
            f"{config.filename}: num_classes='data' needs a train_dataloader, whose classes count"
        )
    dataset = config.train_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    with DefaultScope.overwrite_default_scope('mvlt'):
        built = registry.DATASETS.build(dict(dataset, pipeline=[]))
    spread_heads(config.model, labels_of(built.metainfo))
    for name, head in count_later(config.model):
        classes = built.metainfo.get(name)
        if not classes:
            raise KeyError(
                f"model.heads.{name}: the training data has no '{name}'; name its column "
                'in `columns`, or take the head out of the config'
            )
        head.num_classes = len(classes)
