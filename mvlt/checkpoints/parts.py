"""The parts that a model folder may name: registered parts, and some of other packages."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from mvlt.registry import MODELS, Registry

# package -> (module with its registry, module of legal classes); no class that reads files
PACKAGES = {'mmpretrain': ('mmpretrain.registry', 'mmpretrain.models.backbones')}
# arguments of such a class that fetch or read weights
FETCHING = ('pretrained', 'init_cfg', 'checkpoint', 'checkpoint_path', 'pretrained_cfg_overlay')


def find_part(kind: Any, registry: Registry) -> type:
    """The class of a part, from a class, an import path or a name.

    Imports listed packages only, for names such as 'mmpretrain.ResNet'.

    Raises:
        ValueError: the part is not registered, or its package is not listed.
    """
    path = kind if isinstance(kind, str) else f'{kind.__module__}.{kind.__name__}'
    name = path.rpartition('.')[2]
    if (package := path.partition('.')[0]) in PACKAGES and registry is MODELS:
        return _of_package(package, name)
    registry.import_from_location()
    layer: Any = registry
    while layer is not None:
        if name in layer.module_dict:
            return layer.module_dict[name]
        layer = layer.parent
    raise ValueError(
        f"the part '{kind}' is not registered: import the file that defines it first, or name the "
        f'config file, which imports it. Packages that need no import: {", ".join(PACKAGES)}'
    )


def part_name(kind: Any, registry: Registry) -> str:
    """A part's name in a model folder: 'PVTVL', 'mmpretrain.ResNet'; see :func:`find_part`."""
    part = find_part(kind, registry)
    package = part.__module__.partition('.')[0]
    return f'{package}.{part.__name__}' if package in PACKAGES else part.__name__


def check_foreign(settings: Mapping[str, Any], where: str) -> bool:
    """Whether a model's part is of a listed package, checked to read no other files.

    Raises:
        ValueError: the package has no such part, or the part reads weights.
    """
    kind = settings['type']
    if not isinstance(kind, str) or kind.partition('.')[0] not in PACKAGES:
        return False
    find_part(kind, MODELS)
    # a colon: timm's 'hf-hub:...' and 'local-dir:...'
    fetching = [
        key
        for key, value in settings.items()
        if (key in FETCHING and value) or (key == 'model_name' and ':' in str(value))
    ]
    if fetching:
        raise ValueError(f"{where}: '{kind}' reads other files: remove {fetching[0]}")
    return True


def _of_package(package: str, name: str) -> type:
    registry, home = PACKAGES[package]
    import_module(home)
    part = import_module(registry).MODELS.module_dict.get(name)
    if part is None or not part.__module__.startswith(f'{home}.'):
        raise ValueError(f"'{package}.{name}' is not a part of {home}")
    return part
