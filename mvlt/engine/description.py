"""What one must know beside the weights to use a model, as plain data: no code, no paths.

Parts are named as they are registered. What is read from a file can only name parts that this
program has registered, and only models and transforms.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mmcv.transforms import CenterCrop, Resize
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mvlt.datasets import (
    CropToProduct,
    ImageMask,
    LoadImage,
    MaskWords,
    PackPairInputs,
    Tokenize,
)
from mvlt.datasets.pair_dataset import CATEGORIES
from mvlt.models import MVLT
from mvlt.registry import MODELS, TRANSFORMS, Registry

HEADS = ('itm_head', 'mlm_head', 'mir_head', 'category_heads')
_PRETRAINED = 'a pretrain_* config'
_TRAINED_BY = dict.fromkeys(HEADS, _PRETRAINED) | dict(category_heads='a recognition_* config')
_MMCV = (Resize, CenterCrop)  # transforms of others that a description may name
LEGAL_READING = (LoadImage, CropToProduct, *_MMCV)


class ModelDescription(NamedTuple):
    """A model without its weights and vocabulary; JSON can hold all of it.

    model: ``type`` and arguments of the model.
    preprocessing: transforms from a record with ``caption`` and ``img`` (or ``img_path``) to
        ``img`` uint8 (H, W, 3) and ``token_ids``; Tokenize has no vocabulary here.
    mask: the transform that hid parts of pictures in training, None where none did.
    categories: head -> names of its classes, in the order of its outputs.
    """

    model: dict[str, Any]
    preprocessing: list[dict[str, Any]]
    mask: dict[str, Any] | None
    categories: dict[str, list[str]]

    def build(self, heads: Sequence[str] | None = None) -> MVLT:
        """The model at random, with those of ``heads`` that it has; ``neck`` goes with mir_head.

        Args:
            heads: names, the first of which it must have; None = all that it has.

        Raises:
            ValueError: it lacks the first one.
        """
        if heads and not self.model.get(heads[0]):
            own = ', '.join(name for name in HEADS if self.model.get(name))
            raise ValueError(
                f'this model has no {heads[0]}; it has {own or "no head"}. Take one that was '
                f'trained by {_TRAINED_BY[heads[0]]}'
            )
        left_out = {name: None for name in HEADS if heads is not None and name not in heads}
        if not self.model.get('mir_head') or 'mir_head' in left_out:
            left_out['neck'] = None
        with DefaultScope.overwrite_default_scope('mvlt'):
            return MODELS.build({**self.model, **left_out})

    def transforms(self, vocabulary: str) -> list[dict[str, Any]]:
        """``preprocessing`` for a pipeline, words from ``vocabulary``."""
        return [
            {
                **{key: tuple(v) if isinstance(v, list) else v for key, v in one.items()},
                **(dict(vocabulary=vocabulary) if one['type'] == 'Tokenize' else {}),
            }
            for one in self.preprocessing
        ]


def describe(config: Config, classes: Mapping[str, Sequence[str]], source: str) -> ModelDescription:
    """What ``config`` says of a model.

    Args:
        config: of :func:`mvlt.engine.config.load_config`, or of :func:`stored_config`.
        classes: category names of the training data (``metainfo``), in the order of their ids.
        source: named in errors.

    A head that predicts features of hidden patches is left out, with its decoder.

    Raises:
        ValueError: a part has no registered name, class names are unknown, or no pipeline
            tells how pictures and captions are read.
    """
    wanted = dict(config.model)
    head = wanted.get('mir_head')
    if head and not getattr(_find(head['type'], MODELS), 'rebuilds', True):
        wanted.update(neck=None, mir_head=None)  # it teaches the backbone and answers nothing
    model = _plain(wanted, MODELS)
    categories = {}
    for name, head in (model.get('category_heads') or {}).items():
        names = list(classes.get(name, ()))[: head['num_classes']]
        if names:  # a head may have rows that training has no class for, as the released one
            names += [f'row {i}' for i in range(len(names), head['num_classes'])]
        if len(names) != head['num_classes']:
            raise ValueError(
                f'model.category_heads.{name} has {head["num_classes"]} classes, the names of '
                f'{len(names)} are known: give the config that it was trained with, and its data'
            )
        categories[name] = names
    reading = pipeline_of(config, 'test_dataloader') or pipeline_of(config, 'train_dataloader')
    steps = [one for one in reading if not is_transform(one, ImageMask, MaskWords, PackPairInputs)]
    preprocessing = [_plain(one, TRANSFORMS) for one in steps]
    if not any(one['type'] == 'Tokenize' for one in preprocessing):
        raise ValueError(f'{source}: no pipeline with Tokenize tells how a caption is read')
    for one in preprocessing:
        one.pop('vocabulary', None)
        one.pop('download', None)
    masks = [*pipeline_of(config, 'train_dataloader'), *reading]
    mask = next((_plain(one, TRANSFORMS) for one in masks if is_transform(one, ImageMask)), None)
    if mask is not None:
        mask.pop('prob', None)
    return checked(
        dict(model=model, preprocessing=preprocessing, mask=mask, categories=categories),
        source,
    )


def checked(content: Any, source: str) -> ModelDescription:
    """Plain data, e.g. of a file, as a description that is safe to build.

    Args:
        content: dict with the four keys of :class:`ModelDescription`.
        source: named in errors.

    Raises:
        ValueError: another key, a part that is not registered here, or something that is not plain.
    """
    if not isinstance(content, dict) or set(content) != set(ModelDescription._fields):
        raise ValueError(
            f'{source}: an object with {", ".join(ModelDescription._fields)} is needed'
        )
    found = ModelDescription(**content)
    if not isinstance(found.model, dict) or not isinstance(found.preprocessing, list):
        raise ValueError(f'{source}: model is an object, preprocessing a list')
    _check(found.model, {*MODELS.module_dict}, f'{source}: model', needs_type=True)
    kinds = {**TRANSFORMS.module_dict, **{kind.__name__: kind for kind in _MMCV}}
    masks = {name for name, kind in kinds.items() if issubclass(kind, ImageMask)}
    words = {MaskWords.__name__, PackPairInputs.__name__}
    for i, one in enumerate(found.preprocessing):
        _check(one, {*kinds} - masks - words, f'{source}: preprocessing.{i}', needs_type=True)
        if {'vocabulary', 'download'} & one.keys():
            raise ValueError(f"{source}: preprocessing.{i}: the vocabulary is the folder's own")
    if [one['type'] for one in found.preprocessing].count('Tokenize') != 1:
        raise ValueError(f'{source}: preprocessing needs one Tokenize')
    if found.mask is not None:
        _check(found.mask, masks, f'{source}: mask', needs_type=True)
    if not isinstance(found.categories, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in found.categories.values()
    ):
        raise ValueError(f'{source}: categories is an object of lists of names')
    heads = found.model.get('category_heads') or {}
    counts = {name: head.get('num_classes') for name, head in heads.items()}
    if counts != {name: len(names) for name, names in found.categories.items()}:
        raise ValueError(f'{source}: categories must name the classes of each category head')
    return found


def stored_config(text: str, source: str) -> Config:
    """The config that mmengine keeps in a checkpoint, read without running it.

    Args:
        text: assignments of literals and ``dict(...)`` to names.
        source: named in errors.

    Raises:
        ValueError: anything else stands there.
    """
    try:
        body = ast.parse(text).body
        found = {}
        for node in body:
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
                raise ValueError(f'line {node.lineno} is no assignment')
            found[node.targets[0].id] = _literal(node.value)
    except (SyntaxError, ValueError) as error:
        raise ValueError(
            f'{source}: its config is more than plain data ({error}); name a config file instead'
        ) from error
    return Config(found)


def tokenizer_of(config: Config) -> dict[str, Any] | None:
    """Settings of the first Tokenize."""
    for loader in ('train_dataloader', 'test_dataloader'):
        for one in pipeline_of(config, loader):
            if is_transform(one, Tokenize):
                return one
    return None


def pipeline_of(config: Config, loader: str) -> list[dict[str, Any]]:
    """Transforms of a loader's innermost dataset; empty where there is no such loader."""
    dataset = (config.get(loader) or {}).get('dataset') or {}
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return list(dataset.get('pipeline') or ())


def known_classes(metainfo: Mapping[str, Any]) -> dict[str, list[str]]:
    """Category names that training has seen, of a dataset's ``metainfo``."""
    found = {}
    for level in CATEGORIES:
        names = list(metainfo.get(level) or ())
        found[level] = names[: metainfo.get(f'{level}_trained', len(names))]
    return found


def import_parts(config: Config) -> None:
    """Import what a config file names by import path, so that it is registered; it may run code."""
    for value, registry in (
        (config.model, MODELS),
        (pipeline_of(config, 'train_dataloader'), TRANSFORMS),
        (pipeline_of(config, 'test_dataloader'), TRANSFORMS),
    ):
        for kind in _types(value):
            registry.get(kind)


def _types(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            if key == 'type' and isinstance(one, str):
                yield one
            elif key != 'init_cfg':
                yield from _types(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _types(one)


def _literal(node: ast.AST | None) -> Any:
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id != 'dict' or node.args:
            raise ValueError(f'line {node.lineno} calls something')
        return {str(one.arg): _literal(one.value) for one in node.keywords}
    if isinstance(node, ast.Dict):
        return {_literal(key): _literal(value) for key, value in zip(node.keys, node.values)}
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(one) for one in node.elts]
    if node is None:
        raise ValueError('** stands in a dict')
    return ast.literal_eval(node)


def is_transform(settings: Mapping[str, Any], *kinds: type) -> bool:
    """Whether a pipeline's entry is a transform of one of these kinds."""
    return issubclass(_find(settings['type'], TRANSFORMS), kinds)


def _plain(value: Any, registry: Registry) -> Any:
    """Dicts and lists only; classes by the name under which ``registry`` knows them."""
    if isinstance(value, Mapping):
        return {
            key: _find(one, registry).__name__ if key == 'type' else _plain(one, registry)
            for key, one in value.items()
            if key != 'init_cfg'  # the weights come with the folder
        }
    if isinstance(value, list | tuple):
        return [_plain(one, registry) for one in value]
    return value


def _find(kind: Any, registry: Registry) -> type:
    """The part that a class, an import path or a name stands for; imports nothing new."""
    name = kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__
    registry.import_from_location()
    place: Any = registry
    while place is not None:
        if name in place.module_dict:
            return place.module_dict[name]
        place = place.parent
    raise ValueError(
        f"the part '{kind}' is not registered here: import the file that defines it first, or "
        'name the config file, which does'
    )


def _check(value: Any, legal: set[str], where: str, needs_type: bool = False) -> None:
    if needs_type and (not isinstance(value, dict) or 'type' not in value):
        raise ValueError(f'{where} is an object with a type')
    if isinstance(value, dict):
        for key, one in value.items():
            if not isinstance(key, str) or key.startswith('_'):
                raise ValueError(f"{where}: the key '{key}' is not allowed")
            if key != 'type':
                _check(one, legal, f'{where}.{key}')
            elif not isinstance(one, str) or one not in legal:
                raise ValueError(
                    f"{where} asks for the part '{one}', which is not registered here: import the "
                    f'file that defines it first, or update mvlt; legal: {", ".join(sorted(legal))}'
                )
    elif isinstance(value, list):
        for i, one in enumerate(value):
            _check(one, legal, f'{where}.{i}')
    elif value is not None and not isinstance(value, str | int | float | bool):
        raise ValueError(f'{where}: {type(value).__name__} is not plain data')
