"""A trained model without its weights, as plain data: no code, no paths.

Parts have their registered names, parts of other packages with the package ('mmpretrain.ResNet').
A file can only name registered models and transforms, and backbones of the packages in
:mod:`mvlt.checkpoints.parts`.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from mmcv.transforms import CenterCrop, Resize
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mvlt.checkpoints.parts import check_foreign, find_part, part_name
from mvlt.config import heads_of
from mvlt.datasets import (
    CenterCropRatio,
    CropToForeground,
    ImageMask,
    LoadImage,
    MaskWords,
    PackPairInputs,
    ResizeShortEdge,
    Tokenize,
)
from mvlt.datasets.pipeline import changes_pair, named
from mvlt.models import MVLT, Head
from mvlt.registry import MODELS, TRANSFORMS, Registry

_MMCV = (Resize, CenterCrop)  # legal transforms of mmcv
LEGAL_READING = (LoadImage, CenterCropRatio, CropToForeground, ResizeShortEdge, *_MMCV)


class ModelDescription(NamedTuple):
    """A model without its weights and tokenizer, JSON throughout.

    model: ``type`` and arguments of the model.
    preprocessing: steps by name from a record with ``caption`` and ``img`` (or ``img_path``) to
        ``img`` uint8 (H, W, 3) and ``token_ids``; Tokenize has no tokenizer here.
    mask: the transform that masked images in training, or None.
    categories: head -> names of its classes, in the order of its outputs.
    """

    model: dict[str, Any]
    preprocessing: dict[str, dict[str, Any]]
    mask: dict[str, Any] | None
    categories: dict[str, list[str]]

    @property
    def heads(self) -> dict[str, dict[str, Any]]:
        """Name -> settings of the heads."""
        return heads_of(self.model)

    def label(self, head: str) -> str:
        """The data's category or attribute that a head predicts."""
        return self.heads[head].get('label', head)

    def that_give(self, *outputs: str) -> list[str]:
        """Names of the heads with one of these :class:`mvlt.models.Head` outputs, e.g. 'match'."""
        return [name for name, head in self.heads.items() if _head(head).gives in outputs]

    @property
    def reconstructing(self) -> list[str]:
        """Names of the heads that give images."""
        return self.that_give('pixels')

    def build(self, heads: Sequence[str] | None = None) -> MVLT:
        """Build the model with random weights.

        Args:
            heads: names of the heads to build, None = all; a reconstructing head needs the neck.

        Raises:
            ValueError: a head is missing.
        """
        with DefaultScope.overwrite_default_scope('mvlt'):
            return MODELS.build(self.model if heads is None else self.settings(heads))

    def settings(self, heads: Sequence[str]) -> dict[str, Any]:
        """``model`` with some of its heads; see :meth:`build`."""
        for name in heads:
            if name not in self.heads:
                raise ValueError(self.lacks(f"head '{name}'"))
        settings = dict(self.model, heads={name: self.heads[name] for name in heads})
        if not set(heads) & set(self.reconstructing):
            settings['neck'] = None
        return settings

    def lacks(self, part: str) -> str:
        """Message for a missing part, with the configs that train it."""
        return (
            f'this model has no {part}; it has {", ".join(self.heads) or "no head"}. Train itm, '
            'mlm and mir with a pretrain_* config, categories with a recognition_* config'
        )

    def transforms(self, tokenizer: str) -> dict[str, dict[str, Any]]:
        """``preprocessing`` for a pipeline, with ``tokenizer``."""
        return {
            name: {
                **{key: tuple(v) if isinstance(v, list) else v for key, v in step.items()},
                **(dict(tokenizer=tokenizer) if step['type'] == 'Tokenize' else {}),
            }
            for name, step in self.preprocessing.items()
        }


def describe(config: Config, classes: Mapping[str, Sequence[str]], source: str) -> ModelDescription:
    """The description of a config's model.

    Heads that serve training alone are left out, with their decoder.

    Args:
        config: of :func:`mvlt.config.load_config`, or of :func:`stored_config`.
        classes: class names of the training data (``metainfo``), in the order of their ids.
        source: named in errors.

    Raises:
        ValueError: a part has no registered name, class names are unknown, or no pipeline has a
            Tokenize step.
    """
    heads = {
        name: without_training(head)
        for name, head in heads_of(config.model).items()
        if _head(head).published
    }
    decoding = any('decoded' in _head(head).reads for head in heads.values())
    neck = config.model.get('neck') if decoding else None
    model = plain({**config.model, 'heads': heads, 'neck': neck}, MODELS)
    categories = {}
    for name, head in model['heads'].items():
        if 'num_classes' not in head:
            continue
        names = list(classes.get(head.get('label', name), ()))[: head['num_classes']]
        if names:  # a head may have more rows than classes, as the released head
            names += [f'row {i}' for i in range(len(names), head['num_classes'])]
        if len(names) != head['num_classes']:
            raise ValueError(
                f'model.heads.{name} has {head["num_classes"]} classes, the names of '
                f'{len(names)} are known: give the config of its training, and its data'
            )
        categories[name] = names
    preprocessing = reading_of(config)
    if not any(step['type'] == 'Tokenize' for step in preprocessing.values()):
        raise ValueError(f'{source}: no pipeline has a Tokenize step; add one')
    mask = _first_step(config, ImageMask)
    if mask is not None:
        mask = {k: v for k, v in plain(mask, TRANSFORMS).items() if k not in ('prob', 'streams')}
    return checked(
        dict(model=model, preprocessing=preprocessing, mask=mask, categories=categories),
        source,
    )


def reading_of(config: Config) -> dict[str, dict[str, Any]]:
    """Steps by name that read an image and a caption, as plain data."""
    pipeline = pipeline_of(config, 'test_dataloader') or pipeline_of(config, 'train_dataloader')
    steps = {
        name: plain(step, TRANSFORMS)
        for name, step in pipeline.items()
        if not is_transform(step, ImageMask, MaskWords, PackPairInputs)
        and changes_pair(step.get('streams'))  # inference reads the main streams only
    }
    if all(name.isdigit() for name in steps):  # of a list, as OpenMMLab's: name them by type
        roles = dict(
            LoadImage='load', CropToForeground='crop', Resize='resize', Tokenize='tokenize'
        )
        steps = {roles.get(step['type'], f'step_{name}'): step for name, step in steps.items()}
    for step in steps.values():
        # the model folder brings the tokenizer; inference needs no cache of images
        for key in ('tokenizer', 'download', 'cache_size', 'streams'):
            step.pop(key, None)
    return steps


def checked(content: Any, source: str) -> ModelDescription:
    """Check untrusted data and return a description that is safe to build.

    Args:
        content: dict with the four keys of :class:`ModelDescription`.
        source: named in errors.

    Raises:
        ValueError: another key, a part that is not registered, or a value that is not plain data.
    """
    if not isinstance(content, dict) or set(content) != set(ModelDescription._fields):
        raise ValueError(f'{source}: give an object with {", ".join(ModelDescription._fields)}')
    if not isinstance(content['model'], dict) or not isinstance(content['preprocessing'], dict):
        raise ValueError(f'{source}: model is an object, preprocessing an object of steps by name')
    description = ModelDescription(**content)
    for registry in (MODELS, TRANSFORMS):
        registry.import_from_location()
    _check(description.model, {*MODELS.module_dict}, f'{source}: model', needs_type=True)
    transforms = {**TRANSFORMS.module_dict, **{kind.__name__: kind for kind in _MMCV}}
    masks = {name for name, kind in transforms.items() if issubclass(kind, ImageMask)}
    legal = {*transforms} - masks - {MaskWords.__name__, PackPairInputs.__name__}
    for name, step in description.preprocessing.items():
        _check(step, legal, f'{source}: preprocessing.{name}', needs_type=True)
        if {'tokenizer', 'download'} & step.keys():
            raise ValueError(
                f'{source}: preprocessing.{name}: remove the tokenizer, the folder brings it'
            )
    if [step['type'] for step in description.preprocessing.values()].count('Tokenize') != 1:
        raise ValueError(f'{source}: preprocessing needs one Tokenize')
    if description.mask is not None:
        _check(description.mask, masks, f'{source}: mask', needs_type=True)
    if not isinstance(description.categories, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in description.categories.values()
    ):
        raise ValueError(f'{source}: categories is an object of lists of names')
    if not isinstance(description.model.get('heads') or {}, dict):
        raise ValueError(f'{source}: model.heads is an object of heads by name')
    heads = description.heads.items()
    counts = {name: head['num_classes'] for name, head in heads if 'num_classes' in head}
    if counts != {name: len(names) for name, names in description.categories.items()}:
        raise ValueError(f'{source}: categories must name the classes of each category head')
    return description


def stored_config(text: str, source: str) -> Config:
    """The config in a checkpoint of mmengine, parsed and not run.

    Args:
        text: assignments of literals and ``dict(...)`` to names.
        source: named in errors.

    Raises:
        ValueError: other code.
    """
    try:
        settings = {}
        for node in ast.parse(text).body:
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
                raise ValueError(f'line {node.lineno} is not an assignment')
            settings[node.targets[0].id] = _literal(node.value)
    except (SyntaxError, ValueError) as error:
        raise ValueError(
            f'{source}: its config is more than plain data ({error}); name a config file instead'
        ) from error
    return Config(settings)


def training_only(head: Mapping[str, Any]) -> set[str]:
    """Names of a head's settings that matter to training alone."""
    return {'interval', *_head(head).training_only}


def without_training(head: Mapping[str, Any]) -> dict[str, Any]:
    """A head's settings without :func:`training_only`."""
    return {key: value for key, value in head.items() if key not in training_only(head)}


def tokenizer_of(config: Config) -> dict[str, Any] | None:
    """Settings of the first Tokenize step."""
    return _first_step(config, Tokenize)


def _first_step(config: Config, kind: type) -> dict[str, Any] | None:
    """Settings of the first transform of a kind, in training or test."""
    for loader in ('train_dataloader', 'test_dataloader'):
        for step in pipeline_of(config, loader).values():
            if is_transform(step, kind):
                return step
    return None


def pipeline_of(config: Config, loader: str) -> dict[str, dict[str, Any]]:
    """Steps by name of a loader's innermost dataset; empty without such a loader."""
    dataset = (config.get(loader) or {}).get('dataset') or {}
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return named(dataset.get('pipeline'))


def import_parts(config: Config) -> None:
    """Import the parts that a config file names by import path; this may run code."""
    for kind in _types(config.model):
        MODELS.get(kind)
    for loader in ('train_dataloader', 'test_dataloader'):
        for step in pipeline_of(config, loader).values():
            if '_scope_' not in step:
                TRANSFORMS.get(step['type'])


def _types(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == 'type' and isinstance(item, str):
                yield item
            elif key != 'init_cfg':
                yield from _types(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _types(item)


def _literal(node: ast.AST | None) -> Any:
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id != 'dict' or node.args:
            raise ValueError(f'line {node.lineno} calls a function')
        return {str(keyword.arg): _literal(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        return {_literal(key): _literal(value) for key, value in zip(node.keys, node.values)}
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(element) for element in node.elts]
    if node is None:
        raise ValueError('a dict has **')
    return ast.literal_eval(node)


def is_transform(settings: Mapping[str, Any], *kinds: type) -> bool:
    """Whether a step is a transform of one of these kinds; False for unregistered transforms."""
    try:
        return issubclass(find_part(settings['type'], TRANSFORMS), kinds)
    except ValueError:
        return False


def _head(settings: Mapping[str, Any]) -> type[Head]:
    """The class of a head's settings."""
    return cast('type[Head]', find_part(settings['type'], MODELS))


def plain(value: Any, registry: Registry) -> Any:
    """A setting as plain data; classes become their names in ``registry``."""
    if isinstance(value, Mapping):
        if 'type' in value and (
            settings_of := getattr(find_part(value['type'], registry), 'published_settings', None)
        ):
            value = settings_of(value)
        return {
            key: part_name(item, registry) if key == 'type' else plain(item, registry)
            for key, item in value.items()
            if key != 'init_cfg'  # the weights come with the folder
        }
    if isinstance(value, list | tuple):
        return [plain(item, registry) for item in value]
    return value


def _check(value: Any, legal: set[str], where: str, needs_type: bool = False) -> None:
    if needs_type and (not isinstance(value, dict) or 'type' not in value):
        raise ValueError(f'{where} is an object with a type')
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or key.startswith('_'):
                raise ValueError(f"{where}: the key '{key}' is not allowed")
            if key != 'type':
                _check(item, legal, f'{where}.{key}')
            elif not (isinstance(item, str) and item in legal) and not check_foreign(value, where):
                raise ValueError(
                    f"{where} asks for the part '{item}', which is not registered: import the "
                    f'file that defines it first, or update mvlt; legal: {", ".join(sorted(legal))}'
                )
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _check(item, legal, f'{where}.{i}')
    elif value is not None and not isinstance(value, str | int | float | bool):
        raise ValueError(f'{where}: {type(value).__name__} is not plain data')
