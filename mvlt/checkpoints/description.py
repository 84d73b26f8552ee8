"""What one must know beside the weights to use a model, as plain data: no code, no paths.

Parts are named as they are registered, those of other packages with the package
('mmpretrain.ResNet'). What is read from a file can only name models and transforms that this
program has registered, and backbones of the packages in :mod:`mvlt.checkpoints.parts`.
"""

import ast
import inspect
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
    Tokenize,
)
from mvlt.datasets.pipeline import changes_pair, named
from mvlt.models import Head
from mvlt.registry import MODELS, TRANSFORMS, Registry

_MMCV = (Resize, CenterCrop)  # transforms of others that a description may name
LEGAL_READING = (LoadImage, CenterCropRatio, CropToForeground, *_MMCV)
# settings that make no other network of the same weights: training's, and sizes that are resized
_ASIDE = {
    *('init_cfg', 'init_std', 'drop_path_rate', 'token_dropout', 'image_size', 'context_length'),
    *('mixup', 'mixup_alpha', 'pad_multiple', 'non_blocking', 'vocab_size'),
}


class ModelDescription(NamedTuple):
    """A model without its weights and tokenizer; JSON can hold all of it.

    model: ``type`` and arguments of the model.
    preprocessing: steps by name from a record with ``caption`` and ``img`` (or ``img_path``) to
        ``img`` uint8 (H, W, 3) and ``token_ids``; Tokenize has no tokenizer here.
    mask: the transform that hid parts of pictures in training, None where none did.
    categories: head -> names of its classes, in the order of its outputs.
    """

    model: dict[str, Any]
    preprocessing: dict[str, dict[str, Any]]
    mask: dict[str, Any] | None
    categories: dict[str, list[str]]

    @property
    def heads(self) -> dict[str, dict[str, Any]]:
        """Name -> settings of the heads that it has."""
        return heads_of(self.model)

    def label(self, head: str) -> str:
        """Which label of the data a head names."""
        return self.heads[head].get('label', head)

    def that_give(self, *what: str) -> list[str]:
        """Names of the heads that give one of these, e.g. 'match': :class:`mvlt.models.Head`."""
        return [name for name, head in self.heads.items() if _head(head).gives in what]

    @property
    def reconstructing(self) -> list[str]:
        """Names of the heads that give pictures."""
        return self.that_give('pixels')

    def build(self, heads: Sequence[str] | None = None) -> Any:
        """The model at random.

        Args:
            heads: names of those to build, None = all; the neck goes with those that rebuild.

        Raises:
            ValueError: it lacks one of them.
        """
        with DefaultScope.overwrite_default_scope('mvlt'):
            return MODELS.build(self.model if heads is None else self.settings(heads))

    def settings(self, heads: Sequence[str]) -> dict[str, Any]:
        """``model`` with some of its heads; the neck goes with those that rebuild.

        Raises:
            ValueError: it lacks one of them.
        """
        for name in heads:
            if name not in self.heads:
                raise ValueError(self.lacks(f"head '{name}'"))
        settings = dict(self.model, heads={name: self.heads[name] for name in heads})
        if not set(heads) & set(self.reconstructing):
            settings['neck'] = None
        return settings

    def lacks(self, what: str) -> str:
        """That this model has no such part, and where one comes from."""
        return (
            f'this model has no {what}; it has {", ".join(self.heads) or "no head"}. itm, mlm and '
            'mir are trained by a pretrain_* config, categories by a recognition_* config'
        )

    def transforms(self, tokenizer: str) -> dict[str, dict[str, Any]]:
        """``preprocessing`` for a pipeline, words from ``tokenizer``."""
        return {
            name: {
                **{key: tuple(v) if isinstance(v, list) else v for key, v in one.items()},
                **(dict(tokenizer=tokenizer) if one['type'] == 'Tokenize' else {}),
            }
            for name, one in self.preprocessing.items()
        }


def describe(config: Config, classes: Mapping[str, Sequence[str]], source: str) -> ModelDescription:
    """What ``config`` says of a model.

    Args:
        config: of :func:`mvlt.config.load_config`, or of :func:`stored_config`.
        classes: category names of the training data (``metainfo``), in the order of their ids.
        source: named in errors.

    Heads that predict features of hidden patches are left out, with their decoder.

    Raises:
        ValueError: a part has no registered name, class names are unknown, or no pipeline
            tells how pictures and captions are read.
    """
    heads = {
        name: without_training(head)
        for name, head in heads_of(config.model).items()
        if _head(head).published  # the others teach the backbone and answer nothing
    }
    decoding = any('decoded' in _head(head).reads for head in heads.values())
    neck = config.model.get('neck') if decoding else None
    model = _plain({**config.model, 'heads': heads, 'neck': neck}, MODELS)
    categories = {}
    for name, head in model['heads'].items():
        if 'num_classes' not in head:
            continue
        names = list(classes.get(head.get('label', name), ()))[: head['num_classes']]
        if names:  # a head may have rows that training has no class for, as the released one
            names += [f'row {i}' for i in range(len(names), head['num_classes'])]
        if len(names) != head['num_classes']:
            raise ValueError(
                f'model.heads.{name} has {head["num_classes"]} classes, the names of '
                f'{len(names)} are known: give the config that it was trained with, and its data'
            )
        categories[name] = names
    preprocessing = reading_of(config)
    if not any(one['type'] == 'Tokenize' for one in preprocessing.values()):
        raise ValueError(f'{source}: no pipeline with Tokenize tells how a caption is read')
    masks = [
        one
        for loader in ('train_dataloader', 'test_dataloader')
        for one in pipeline_of(config, loader).values()
    ]
    mask = next((_plain(one, TRANSFORMS) for one in masks if is_transform(one, ImageMask)), None)
    if mask is not None:
        mask = {key: value for key, value in mask.items() if key not in ('prob', 'streams')}
    return checked(
        dict(model=model, preprocessing=preprocessing, mask=mask, categories=categories),
        source,
    )


def differences(config: Config, description: ModelDescription, heads: bool = True) -> list[str]:
    """In what a recipe's network is another one than the described, though weights might fit.

    Sizes that change the shape of a tensor are not compared, nor what matters to training alone.

    Args:
        config: of the recipe, its parts imported.
        description: of the trained model.
        heads: whether heads that both have must read and name the same.
    """
    lines = []
    theirs_by_name = description.heads if heads else {}
    for name, head in heads_of(config.model).items():
        for key in ('reads', 'label', 'upsample', 'form') if name in theirs_by_name else ():
            ours, theirs = (
                _with_defaults(dict(_plain(dict(side), MODELS), label=side.get('label', name)))
                for side in (head, theirs_by_name[name])
            )
            if key in ours and key in theirs and ours[key] != theirs[key]:
                lines.append(f'model.heads.{name}.{key} is {ours[key]} here, {theirs[key]} there')
    for part in ('backbone', 'data_preprocessor'):
        ours, theirs = (
            _with_defaults(_plain(model.get(part), MODELS))
            for model in (config.model, description.model)
        )
        if not ours or not theirs:
            continue
        if ours['type'] != theirs['type']:
            lines.append(f'model.{part} is {ours["type"]} here, {theirs["type"]} there')
            continue
        for key in sorted((ours.keys() | theirs.keys()) - _ASIDE):
            if _as_lists(ours.get(key)) != _as_lists(theirs.get(key)):
                lines.append(f'model.{part}.{key} is {ours.get(key)} here, {theirs.get(key)} there')
    return lines


def _with_defaults(settings: Any) -> dict[str, Any]:
    """Settings of a part with what its class sets where they say nothing."""
    if not isinstance(settings, dict) or 'type' not in settings:
        return {}
    parameters = inspect.signature(find_part(settings['type'], MODELS)).parameters.values()
    defaults = {item.name: item.default for item in parameters if item.default is not item.empty}
    return {**defaults, **settings}


def _as_lists(value: Any) -> Any:
    return [_as_lists(item) for item in value] if isinstance(value, list | tuple) else value


def reading_of(config: Config) -> dict[str, dict[str, Any]]:
    """Steps by name of how pictures and captions are read in use, as plain data."""
    steps = pipeline_of(config, 'test_dataloader') or pipeline_of(config, 'train_dataloader')
    found = {
        name: _plain(one, TRANSFORMS)
        for name, one in steps.items()
        if not is_transform(one, ImageMask, MaskWords, PackPairInputs)
        and changes_pair(one.get('streams'))  # in use a model reads pairs
    }
    if all(name.isdigit() for name in found):  # a list, as OpenMMLab's: by what its steps do
        roles = dict(
            LoadImage='load', CropToForeground='crop', Resize='resize', Tokenize='tokenize'
        )
        found = {roles.get(one['type'], f'step_{name}'): one for name, one in found.items()}
    for one in found.values():
        # the tokenizer is the folder's; nobody reads the same pictures again and again
        for key in ('tokenizer', 'download', 'cache_size', 'streams'):
            one.pop(key, None)
    return found


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
    if not isinstance(content['model'], dict) or not isinstance(content['preprocessing'], dict):
        raise ValueError(f'{source}: model is an object, preprocessing one of steps by name')
    found = ModelDescription(**content)
    for registry in (MODELS, TRANSFORMS):
        registry.import_from_location()
    _check(found.model, {*MODELS.module_dict}, f'{source}: model', needs_type=True)
    kinds = {**TRANSFORMS.module_dict, **{kind.__name__: kind for kind in _MMCV}}
    masks = {name for name, kind in kinds.items() if issubclass(kind, ImageMask)}
    words = {MaskWords.__name__, PackPairInputs.__name__}
    for i, one in found.preprocessing.items():
        _check(one, {*kinds} - masks - words, f'{source}: preprocessing.{i}', needs_type=True)
        if {'tokenizer', 'download'} & one.keys():
            raise ValueError(f"{source}: preprocessing.{i}: the tokenizer is the folder's own")
    if [one['type'] for one in found.preprocessing.values()].count('Tokenize') != 1:
        raise ValueError(f'{source}: preprocessing needs one Tokenize')
    if found.mask is not None:
        _check(found.mask, masks, f'{source}: mask', needs_type=True)
    if not isinstance(found.categories, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in found.categories.values()
    ):
        raise ValueError(f'{source}: categories is an object of lists of names')
    if not isinstance(found.model.get('heads') or {}, dict):
        raise ValueError(f'{source}: model.heads is an object of heads by name')
    counts = {
        name: head['num_classes'] for name, head in found.heads.items() if 'num_classes' in head
    }
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


def training_only(head: Mapping[str, Any]) -> set[str]:
    """Settings of a head that say how it learns."""
    return {'interval', *_head(head).training_only}


def without_training(head: Mapping[str, Any]) -> dict[str, Any]:
    """A head's settings but for how it learns."""
    return {key: value for key, value in head.items() if key not in training_only(head)}


def tokenizer_of(config: Config) -> dict[str, Any] | None:
    """Settings of the first Tokenize."""
    for loader in ('train_dataloader', 'test_dataloader'):
        for one in pipeline_of(config, loader).values():
            if is_transform(one, Tokenize):
                return one
    return None


def pipeline_of(config: Config, loader: str) -> dict[str, dict[str, Any]]:
    """Steps by name of a loader's innermost dataset; empty where there is no such loader."""
    dataset = (config.get(loader) or {}).get('dataset') or {}
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return named(dataset.get('pipeline'))


def import_parts(config: Config) -> None:
    """Import what a config file names by import path, so that it is registered; it may run code."""
    for kind in _types(config.model):
        MODELS.get(kind)
    for loader in ('train_dataloader', 'test_dataloader'):
        for step in pipeline_of(config, loader).values():
            if '_scope_' not in step:
                TRANSFORMS.get(step['type'])


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
    """Whether a pipeline's entry is a transform of one of these kinds; others' are not."""
    try:
        return issubclass(find_part(settings['type'], TRANSFORMS), kinds)
    except ValueError:
        return False


def _head(settings: Mapping[str, Any]) -> type[Head]:
    """The class of a head's settings."""
    return cast('type[Head]', find_part(settings['type'], MODELS))


def _plain(value: Any, registry: Registry) -> Any:
    """Dicts and lists only; classes by the name under which ``registry`` knows them."""
    if isinstance(value, Mapping):
        return {
            key: part_name(one, registry) if key == 'type' else _plain(one, registry)
            for key, one in value.items()
            if key != 'init_cfg'  # the weights come with the folder
        }
    if isinstance(value, list | tuple):
        return [_plain(one, registry) for one in value]
    return value


def _check(value: Any, legal: set[str], where: str, needs_type: bool = False) -> None:
    if needs_type and (not isinstance(value, dict) or 'type' not in value):
        raise ValueError(f'{where} is an object with a type')
    if isinstance(value, dict):
        for key, one in value.items():
            if not isinstance(key, str) or key.startswith('_'):
                raise ValueError(f"{where}: the key '{key}' is not allowed")
            if key != 'type':
                _check(one, legal, f'{where}.{key}')
            elif not (isinstance(one, str) and one in legal) and not check_foreign(value, where):
                raise ValueError(
                    f"{where} asks for the part '{one}', which is not registered here: import the "
                    f'file that defines it first, or update mvlt; legal: {", ".join(sorted(legal))}'
                )
    elif isinstance(value, list):
        for i, one in enumerate(value):
            _check(one, legal, f'{where}.{i}')
    elif value is not None and not isinstance(value, str | int | float | bool):
        raise ValueError(f'{where}: {type(value).__name__} is not plain data')
