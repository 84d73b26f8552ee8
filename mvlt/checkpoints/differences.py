"""Differences between a config's network and a described network.

The weights of one may fit the other all the same.
"""

import inspect
from typing import Any

from mmengine.config import Config

from mvlt.checkpoints.description import ModelDescription, plain
from mvlt.checkpoints.parts import find_part
from mvlt.config import heads_of
from mvlt.registry import MODELS

# settings that do not change the trained network: those of training, and resizable sizes
_IGNORED = {
    *('init_cfg', 'init_std', 'drop_path_rate', 'token_dropout', 'image_size', 'context_length'),
    *('mixup', 'mixup_alpha', 'pad_multiple', 'non_blocking', 'vocab_size'),
    *('trainable', 'pooled', 'dropout'),
}


def differences(config: Config, description: ModelDescription, heads: bool = True) -> list[str]:
    """One line for each setting in which a config's network differs from a trained model.

    Shapes of tensors and settings of training are not compared.

    Args:
        config: with its parts imported.
        description: of the trained model.
        heads: compare the common heads, too. Without them, for the start of a training, a part may
            also extend the trained one's class: it takes its weights.
    """
    lines = []
    trained_heads = description.heads if heads else {}
    for name, head in heads_of(config.model).items():
        for key in ('reads', 'label', 'upsample', 'form') if name in trained_heads else ():
            ours, theirs = (
                _with_defaults(dict(plain(dict(side), MODELS), label=side.get('label', name)))
                for side in (head, trained_heads[name])
            )
            if key in ours and key in theirs and ours[key] != theirs[key]:
                lines.append(f'model.heads.{name}.{key} is {ours[key]} here, {theirs[key]} there')
    for part in ('backbone', 'data_preprocessor'):
        ours, theirs = (
            _with_defaults(plain(model.get(part), MODELS))
            for model in (config.model, description.model)
        )
        if not ours or not theirs:
            continue
        keys = ours.keys() | theirs.keys()
        if ours['type'] != theirs['type']:
            if heads or not _extends(ours['type'], theirs['type']):
                lines.append(f'model.{part} is {ours["type"]} here, {theirs["type"]} there')
                continue
            keys = (ours.keys() & theirs.keys()) - {'type', 'image_dims'}
        for key in sorted(keys - _IGNORED):
            if _network(ours.get(key)) != _network(theirs.get(key)):
                lines.append(f'model.{part}.{key} is {ours.get(key)} here, {theirs.get(key)} there')
    return lines


def _with_defaults(settings: Any) -> dict[str, Any]:
    """Settings of a part with the defaults of its class."""
    if not isinstance(settings, dict) or 'type' not in settings:
        return {}
    parameters = inspect.signature(find_part(settings['type'], MODELS)).parameters.values()
    defaults = {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.default is not parameter.empty
    }
    return {**defaults, **settings}


def _extends(ours: str, theirs: str) -> bool:
    return issubclass(find_part(ours, MODELS), find_part(theirs, MODELS))


def _network(value: Any) -> Any:
    """A setting without what does not change the network, defaults filled in; tuples as lists."""
    if isinstance(value, dict):
        if '.' not in str(value.get('type', '.')):  # parts of this package
            value = _with_defaults(value)
        return {key: _network(item) for key, item in value.items() if key not in _IGNORED}
    return [_network(item) for item in value] if isinstance(value, list | tuple) else value
