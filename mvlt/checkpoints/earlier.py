"""What versions of mvlt before 0.2 wrote, in the names of today."""

import re
from collections.abc import Mapping
from typing import Any

# five heads had a place each in the model
_TENSOR = re.compile(r'^(module\.)?(itm|mlm|mir)_head\.|^(module\.)?category_heads\.')
_HEADS = dict(mir_head='mir', itm_head='itm', mlm_head='mlm')


def todays_tensor(name: str) -> str:
    """``itm_head.bias`` -> ``heads.itm.bias``; names of today stay as they are."""
    return _TENSOR.sub(
        lambda found: f'{found[1] or found[3] or ""}heads.{f"{found[2]}." if found[2] else ""}',
        name,
        count=1,
    )


def todays_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state with the names of today."""
    return {todays_tensor(name): value for name, value in state.items()}


def todays_model(model: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a model, its heads by name; depths of its own went before ``arch``."""
    found = dict(model)
    backbone = found.get('backbone')
    if (
        isinstance(backbone, Mapping)
        and str(backbone.get('type')).rpartition('.')[2] == 'PVTVL'
        and backbone.get('depths')
    ):
        found['backbone'] = {key: value for key, value in backbone.items() if key != 'arch'}
    heads = {name: found.pop(old) for old, name in _HEADS.items() if old in found}
    heads.update(found.pop('category_heads', None) or {})
    return {**found, 'heads': heads} if heads else found
