"""Open trained models: a model folder, a checkpoint, or a config with weights."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from torch import nn

from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.checkpoints.description import (
    ModelDescription,
    describe,
    import_parts,
    stored_config,
    tokenizer_of,
)
from mvlt.checkpoints.folder import is_model_folder, read_model_folder
from mvlt.checkpoints.state_dict import check_finite, compare, unwrapped
from mvlt.config import counts_classes, known_classes, load_config, with_classes
from mvlt.config_files import config_path, packaged_configs
from mvlt.datasets import CaptionTokenizer, load_tokenizer
from mvlt.models import MVLT
from mvlt.registry import MODELS

Source = str | Path


class Trained(NamedTuple):
    """A trained model as read from disk.

    tokenizer: folder or hub name.
    meta: of the checkpoint; {} of a model folder.
    """

    description: ModelDescription
    state: Mapping[str, torch.Tensor]
    tokenizer: str
    meta: Mapping[str, Any]


class OpenedModel(NamedTuple):
    """A model in evaluation mode, with preprocessing and tokenizer.

    transforms: pipeline from a record with ``img`` or ``img_path`` and ``caption`` to pixels and
        token ids.
    """

    model: MVLT
    description: ModelDescription
    transforms: dict[str, dict[str, Any]]
    tokenizer: CaptionTokenizer

    def only(self, heads: Sequence[str]) -> 'OpenedModel':
        """The same model with some of its heads; weights are shared."""
        model = copy(self.model)
        kept = nn.ModuleDict({name: self.model.heads[name] for name in heads})
        model._modules = {**self.model._modules, 'heads': kept}
        if not set(heads) & set(self.description.reconstructing):
            model._modules['neck'] = None
        return self._replace(model=model)


def list_models(pattern: str = '*') -> list[str]:
    """Names of the packaged configs, sorted; ``pattern`` may have ``*`` and ``?``."""
    return [name for name in packaged_configs() if fnmatchcase(name, pattern)]


def get_model(name_or_path: Source, weights: str | None = None, device: str = 'cpu') -> MVLT:
    """A model in evaluation mode.

    Args:
        name_or_path: see :func:`read_trained`; a config without ``weights`` gives random weights.
        weights: a checkpoint of that config.
        device: of the model.

    Raises:
        FileNotFoundError, ValueError: no such folder, name or file; the weights do not fit.
    """
    if weights is None and not _brings_weights(name_or_path):
        settings = _model_of(load_config(name_or_path), {})
        if settings.get('backbone'):  # the ImageNet file of init_cfg may be missing
            settings['backbone'] = {**settings['backbone'], 'init_cfg': None}
        return MODELS.build(settings).to(torch.device(device)).eval()
    if weights is not None and not _brings_weights(name_or_path):
        return load_model(load_config(name_or_path), weights, device)
    return open_model(name_or_path, weights, device).model


def open_model(
    source: Source,
    weights: str | None = None,
    device: str = 'cpu',
    heads: Callable[[ModelDescription], Sequence[str]] | None = None,
) -> OpenedModel:
    """A trained model with its preprocessing and tokenizer.

    Args:
        source, weights: see :func:`read_trained`.
        device: of the model.
        heads: description -> names of the heads to build; None = all.

    Raises:
        FileNotFoundError, ValueError: no such file, no weights, no such head; the weights do not
            fit.
    """
    trained = read_trained(source, weights)
    model = trained.description.build(heads and heads(trained.description))
    _load(model, trained.state, str(weights or source))
    return OpenedModel(
        model.to(torch.device(device)).eval(),
        trained.description,
        trained.description.transforms(trained.tokenizer),
        load_tokenizer(trained.tokenizer),
    )


def read_trained(
    source: Source | Config, weights: str | None = None, tokenizer: str | None = None
) -> Trained:
    """Read a trained model without building it.

    Args:
        source: a model folder (``tools/model_converters/publish.py``); a checkpoint, whose config
            is parsed and not run; or a config (file, name or loaded) with ``weights``.
        weights: ``.pth`` or ``.safetensors``, with a config only.
        tokenizer: None = the folder's, the config's, or else the checkpoint's.

    Raises:
        FileNotFoundError, ValueError: no such file, no config, no such tokenizer, or another
            tokenizer than the training's.
    """
    if not isinstance(source, Config) and _brings_weights(source):
        if weights is not None:
            raise ValueError(f'{source} brings its own weights; leave out weights={weights!r}')
        if is_model_folder(source):
            folder = read_model_folder(source)
            state = read_checkpoint(folder.weights)
            return Trained(folder.description, state, tokenizer or str(folder.path), {})
        weights, config = str(source), None
    elif weights is not None:
        config = source if isinstance(source, Config) else load_config(source)
    else:
        raise _no_model(Path(str(source)))
    stored = read_checkpoint(weights)
    meta = stored.get('meta') or {}
    stored_cfg = stored_config(meta['cfg'], weights) if 'cfg' in meta else None
    if config is not None:
        import_parts(config)
        content = {**config.to_dict(), 'model': _model_of(config, stored)}
        config = Config(content, cfg_text=config.text, filename=config.filename)
    elif stored_cfg is None:
        raise ValueError(f'{weights} does not hold its config; name the config file too')
    classes = known_classes(meta.get('dataset_meta') or {})
    description = describe(
        config or stored_cfg, classes, str(config.filename) if config else weights
    )
    if tokenizer:
        sources = [tokenizer]
    else:
        configs = [cfg for cfg in (config, stored_cfg) if cfg is not None]
        sources = [(tokenizer_of(cfg) or {})['tokenizer'] for cfg in configs]
        sources.append(str(Path(weights).parent / 'tokenizer'))  # of a moved work dir
    return Trained(
        description,
        stored.get('state_dict', stored),
        _tokenizer_of_training(sources, meta.get('tokenizer')),
        meta,
    )


def _no_model(path: Path) -> Exception:
    """The error for a path without a trained model, with the remedy."""
    makes = 'tools/model_converters/publish.py makes a model folder of a checkpoint'
    if path.is_dir():
        newest = path / 'last_checkpoint'
        if newest.is_file():
            return ValueError(
                f'{path} is the work dir of a training: name its checkpoint, '
                f'{newest.read_text().strip()}, or publish it ({makes})'
            )
        return ValueError(f'{path}: a folder, but no model in it; {makes}')
    if path.is_file() and path.suffix != '.py':
        return ValueError(f'{path} is not a model: name a model folder or a .pth; {makes}')
    try:
        config_path(str(path))
    except FileNotFoundError as error:
        if path.is_absolute() or len(path.parts) != 2:  # not the name of a packaged config
            return FileNotFoundError(f'{path}: no such model folder, checkpoint or config; {makes}')
        return error
    return ValueError(
        f'{path} is a config: name weights=CHECKPOINT too, or a model folder in its place ({makes})'
    )


def load_model(config: Config, checkpoint: str, device: str = 'cpu') -> MVLT:
    """Build ``config.model`` and load its weights, in evaluation mode.

    Args:
        config: of :func:`mvlt.config.load_config`; its data may be missing.
        checkpoint: ``.pth`` or ``.safetensors``; tensors that the model lacks are ignored.
        device: of the model.

    Raises:
        FileNotFoundError, ValueError: no such file; not a checkpoint of this model.
    """
    stored = read_checkpoint(checkpoint)
    model = MODELS.build(_model_of(config, stored))
    _load(model, stored.get('state_dict', stored), checkpoint)
    return model.to(torch.device(device)).eval()


def _brings_weights(source: Source) -> bool:
    return is_model_folder(source) or Path(source).suffix in ('.pth', '.safetensors')


def _load(model: MVLT, state: Mapping[str, torch.Tensor], source: str) -> None:
    state = unwrapped(model.state_dict(), state, source)
    fit = compare(model.state_dict(), state)
    fit.require(source)
    check_finite({key: state[key] for key in fit.loaded}, source)
    model.load_state_dict({key: state[key] for key in fit.loaded}, strict=False)


def _model_of(config: Config, stored: Mapping[str, Any]) -> dict[str, Any]:
    """A config's model with the number of classes of a checkpoint's training."""
    if config.get('model') is None:
        raise ValueError(
            f'{config.filename} is a protocol, it has no model; name the recipe that was trained'
        )
    settings = dict(config.model)
    classes = known_classes((stored.get('meta') or {}).get('dataset_meta') or {})
    if not counts_classes(settings):
        return settings
    if not classes:
        raise ValueError(
            f'{config.filename}: the training decides the number of classes; give '
            'weights=CHECKPOINT'
        )
    return with_classes(settings, classes, 'the training of the weights')


def _tokenizer_of_training(sources: Sequence[str], fingerprint: str | None) -> str:
    """The first of ``sources`` that exists."""
    for source in sources:
        try:
            loaded = load_tokenizer(source).fingerprint
        except FileNotFoundError:
            continue
        if fingerprint not in (None, loaded):
            raise ValueError(
                f"tokenizer '{source}' ({loaded}) differs from that of the training "
                f'({fingerprint}); name the tokenizer of the training, or a model folder'
            )
        return source
    raise FileNotFoundError(
        f"tokenizer '{sources[0]}' of the training is missing; name its folder, or a model folder "
        '(tools/model_converters/publish.py)'
    )
