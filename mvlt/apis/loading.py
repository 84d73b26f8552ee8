"""A trained model, ready to be asked."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config

from mvlt.datasets import Vocabulary, load_vocabulary
from mvlt.engine.checkpoint import read_checkpoint
from mvlt.engine.config import PACKAGED, config_path, load_config
from mvlt.engine.description import (
    ModelDescription,
    describe,
    import_parts,
    known_classes,
    stored_config,
    tokenizer_of,
)
from mvlt.engine.model_folder import is_model_folder, read_model_folder
from mvlt.models import MVLT
from mvlt.registry import MODELS


class Trained(NamedTuple):
    """What a checkpoint and its config say together: ``vocabulary`` is a folder or hub name."""

    description: ModelDescription
    state: Mapping[str, torch.Tensor]
    vocabulary: str
    meta: Mapping[str, Any]


class OpenedModel(NamedTuple):
    """A model in evaluation mode and what belongs to it.

    transforms: pipeline from a record with ``img`` or ``img_path`` and ``caption`` to pixels and
        token ids.
    """

    model: MVLT
    description: ModelDescription
    transforms: list[dict[str, Any]]
    vocabulary: Vocabulary


def list_models(pattern: str = '*') -> list[str]:
    """Names of the packaged configs that :func:`get_model` takes, sorted.

    Args:
        pattern: with ``*`` and ``?``, e.g. 'mvlt/pretrain_*'.
    """
    names = (path.relative_to(PACKAGED).with_suffix('') for path in PACKAGED.glob('[!_]*/**/*.py'))
    return sorted(name for name in map(str, names) if fnmatchcase(name, pattern))


def get_model(name_or_path: str | Path, weights: str | None = None, device: str = 'cpu') -> MVLT:
    """A model in evaluation mode.

    Args:
        name_or_path: a folder of ``tools/model_converters/publish.py`` or a checkpoint of a
            training, which bring their weights; a name of :func:`list_models` or a config file,
            whose model starts at random.
        weights: a checkpoint of that config.
        device: where it goes.

    Raises:
        FileNotFoundError, ValueError: no such folder, name or file; it does not fit.
    """
    if _brings_weights(name_or_path):
        return open_model(name_or_path, weights, device).model
    config = load_config(name_or_path, count=False)
    stored = read_checkpoint(weights) if weights else {}
    for name, classes in _classes(config, stored).items():
        config.model.category_heads[name].num_classes = classes
    if not stored:
        config.model.backbone.init_cfg = None  # its ImageNet file may not be at hand
        return MODELS.build(config.model).to(torch.device(device)).eval()
    return load_model(config, str(weights), device)


def open_model(
    source: str | Path,
    weights: str | None = None,
    device: str = 'cpu',
    heads: Sequence[str] | None = None,
) -> OpenedModel:
    """A trained model with its preprocessing and vocabulary.

    Args:
        source: a model folder; a checkpoint of a training, which holds its config; or a config
            file or name with ``weights``.
        weights: a checkpoint; only where ``source`` is a config.
        device: where the model goes.
        heads: those to build, of ``itm_head``, ``mlm_head``, ``mir_head``, ``category_heads``, as
            far as it has them, the first of which it must have; None = all.

    Raises:
        FileNotFoundError, ValueError: no such file, no weights, no such head; it does not fit.
    """
    state: Mapping[str, torch.Tensor]
    if _brings_weights(source) and weights is not None:
        raise ValueError(f'{source} brings its own weights; leave out weights={weights!r}')
    if is_model_folder(source):
        folder = read_model_folder(source)
        description, state = folder.description, read_checkpoint(folder.weights)
        vocabulary = str(folder.path)
    elif _brings_weights(source):
        description, state, vocabulary, _ = read_trained(str(source))
    elif weights is not None:
        description, state, vocabulary, _ = read_trained(weights, load_config(source, count=False))
    else:
        config_path(source)  # a name that is nothing at all is said to be so
        raise ValueError(
            f'{source} is a config: name weights=CHECKPOINT too, or a model folder '
            '(tools/model_converters/publish.py makes one) in its place'
        )
    model = description.build(heads)
    _load(model, state, str(weights or source))
    return OpenedModel(
        model.to(torch.device(device)).eval(),
        description,
        description.transforms(vocabulary),
        load_vocabulary(vocabulary),
    )


def _brings_weights(source: str | Path) -> bool:
    return is_model_folder(source) or str(source).endswith('.pth')


def read_trained(
    checkpoint: str, config: Config | None = None, vocabulary: str | None = None
) -> Trained:
    """A checkpoint, and what its config says.

    Args:
        checkpoint: ``.pth``, or ``.safetensors`` with ``config``.
        config: of a config file; None = the one that the checkpoint holds, read and not run.
        vocabulary: None = that of the config, or, where it is not there, of the checkpoint.

    Raises:
        FileNotFoundError, ValueError: no such file, no config, no such vocabulary, or not the one
            of the training.
    """
    stored = read_checkpoint(checkpoint)
    meta = stored.get('meta') or {}
    held = stored_config(meta['cfg'], checkpoint) if 'cfg' in meta else None
    if config is not None:
        import_parts(config)
        for name, classes in _classes(config, stored).items():
            config.model.category_heads[name].num_classes = classes
    elif held is None:
        raise ValueError(f'{checkpoint} does not hold its config; name the config file too')
    known = known_classes(meta.get('dataset_meta') or {})
    description = describe(config or held, known, str(config.filename) if config else checkpoint)
    sources = (
        [vocabulary]
        if vocabulary
        else [(tokenizer_of(one) or {})['vocabulary'] for one in (config, held) if one is not None]
    )
    return Trained(
        description,
        stored.get('state_dict', stored),
        _vocabulary_of_training(sources, meta.get('vocabulary')),
        meta,
    )


def _vocabulary_of_training(sources: Sequence[str], fingerprint: str | None) -> str:
    """The first of ``sources`` that is there."""
    for source in sources:
        try:
            found = load_vocabulary(source).fingerprint
        except FileNotFoundError:
            continue
        if fingerprint not in (None, found):
            raise ValueError(
                f"vocabulary '{source}' ({found}) is not the one of the training ({fingerprint}); "
                'name that one, or a model folder, which brings its own'
            )
        return source
    raise FileNotFoundError(
        f"vocabulary '{sources[0]}' of the training is not there; name its folder, or a model "
        'folder (tools/model_converters/publish.py), which brings its own'
    )


def load_model(config: Config, checkpoint: str, device: str = 'cpu') -> MVLT:
    """Build ``config.model`` and load the weights that it has a place for, in evaluation mode.

    Args:
        config: of :func:`mvlt.engine.config.load_config`.
        checkpoint: ``.pth`` or ``.safetensors``, of that config.

    Raises:
        FileNotFoundError, ValueError: no such file; not a checkpoint of this model.
    """
    model = MODELS.build(config.model)
    stored = read_checkpoint(checkpoint)
    _load(model, stored.get('state_dict', stored), checkpoint)
    return model.to(torch.device(device)).eval()


def _load(model: MVLT, state: Mapping[str, torch.Tensor], source: str) -> None:
    own = model.state_dict()
    missing = own.keys() - state.keys()
    if missing:
        raise ValueError(
            f'{source} lacks {len(missing)} tensors of the model, e.g. {min(missing)}: it was '
            'made by another config'
        )
    try:
        model.load_state_dict({key: state[key] for key in own})
    except RuntimeError as error:
        raise ValueError(f'{source} does not fit the model: {error}') from error


def _classes(config: Config, stored: Mapping[str, Any]) -> dict[str, int]:
    """How many classes the heads have for which a config says ``'data'``."""
    metainfo = known_classes((stored.get('meta') or {}).get('dataset_meta') or {})
    heads = config.model.get('category_heads') or {}
    found = {}
    for name, head in heads.items():
        if head.get('num_classes') == 'data':
            if not metainfo.get(name):
                raise ValueError(
                    f'{config.filename}: how many classes model.category_heads.{name} has is known '
                    'from its training; give weights=CHECKPOINT of it'
                )
            found[name] = len(metainfo[name])
    return found
