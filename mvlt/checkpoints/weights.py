"""Weights and what they tell of their training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config

from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.checkpoints.description import (
    ModelDescription,
    describe,
    stored_config,
    tokenizer_of,
)
from mvlt.checkpoints.folder import WEIGHTS, is_model_folder, read_model_folder
from mvlt.config import known_classes


class Weights(NamedTuple):
    """A file of weights and facts about its training.

    path: of the weights, or their URL.
    source: as the user has named it.
    description: of a model folder or of a checkpoint with its config; None = unknown.
    config: of a checkpoint; else None.
    classes: category or attribute -> names of classes, in the order of the rows.
    tokenizer: folder or hub name, None = unknown.
    why: the reason for a missing description.
    """

    path: str
    source: str
    description: ModelDescription | None = None
    config: Config | None = None
    classes: Mapping[str, Sequence[str]] = {}
    tokenizer: str | None = None
    why: str = ''


def read_weights(source: str) -> Weights:
    """Read what a model folder, a checkpoint or other weights tell.

    Raises:
        FileNotFoundError, ValueError: no such file, or a changed model folder.
    """
    beside = Path(source).parent
    if Path(source).name == WEIGHTS and is_model_folder(beside):
        source = str(beside)
    if is_model_folder(source):
        folder = read_model_folder(source)
        heads = folder.description.categories.items()
        return Weights(
            folder.weights,
            source,
            folder.description,
            classes={folder.description.label(name): names for name, names in heads},
            tokenizer=str(folder.path),
        )
    if '://' in source or Path(source).is_dir():  # a URL, or the folder of a strategy
        return Weights(source, source, why='it does not hold its config')
    if not Path(source).exists():
        raise FileNotFoundError(
            f'{source}: no such checkpoint or model folder; correct --from or load_from'
        )
    meta = read_checkpoint(source).get('meta') or {}
    classes = known_classes(meta.get('dataset_meta') or {})
    if 'cfg' not in meta:
        return Weights(source, source, classes=classes, why='it does not hold its config')
    config: Config | None = None
    description: ModelDescription | None = None
    why = ''
    try:
        config = stored_config(meta['cfg'], source)
        description = describe(config, classes, source)
    except (AttributeError, KeyError, ValueError) as error:
        why = str(error)
    tokenizer = (tokenizer_of(config) or {}).get('tokenizer') if config is not None else None
    moved = Path(source).parent / 'tokenizer'  # of a moved work dir
    if not is_there(tokenizer) and moved.is_dir():
        tokenizer = str(moved)
    return Weights(source, source, description, config, classes, tokenizer, why)


def is_there(tokenizer: str | None) -> bool:
    """Whether a tokenizer's folder exists; True for None."""
    return tokenizer is None or Path(tokenizer).is_dir()
