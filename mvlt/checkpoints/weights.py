"""What a model folder, a checkpoint or other weights tell of the training that they are of."""

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
    """A file of weights and what is known of its training.

    path: of the weights; the network's, where they are fetched.
    source: as the user has named it.
    description: of a model folder or of a checkpoint that holds its config; None = not known.
    config: that a checkpoint holds; None of others.
    classes: label -> names, in the order of the rows.
    tokenizer: folder or hub name of its tokenizer, None = not known.
    why: the reason that there is no description.
    """

    path: str
    source: str
    description: ModelDescription | None = None
    config: Config | None = None
    classes: Mapping[str, Sequence[str]] = {}
    tokenizer: str | None = None
    why: str = ''


def read_weights(source: str) -> Weights:
    """What is known of a model folder, a checkpoint or other weights.

    Raises:
        FileNotFoundError, ValueError: there is none; it is not what was published.
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
    if '://' in source or Path(source).is_dir():  # fetched, or a strategy's own folder
        return Weights(source, source, why='it does not hold its config')
    if not Path(source).exists():
        raise FileNotFoundError(
            f'{source}: no such checkpoint or model folder; a training names it by --from or '
            'load_from'
        )
    meta = read_checkpoint(source).get('meta') or {}
    classes = known_classes(meta.get('dataset_meta') or {})
    if 'cfg' not in meta:
        return Weights(source, source, classes=classes, why='it does not hold its config')
    held: Config | None = None
    description: ModelDescription | None = None
    why = ''
    try:
        held = stored_config(meta['cfg'], source)
        description = describe(held, classes, source)
    except (AttributeError, KeyError, ValueError) as error:
        why = str(error)
    tokenizer = (tokenizer_of(held) or {}).get('tokenizer') if held is not None else None
    beside = Path(source).parent / 'tokenizer'  # of a work dir that was moved
    if not is_there(tokenizer) and beside.is_dir():
        tokenizer = str(beside)
    return Weights(source, source, description, held, classes, tokenizer, why)


def is_there(tokenizer: str | None) -> bool:
    """Whether a tokenizer is a folder that is there; True of none at all."""
    return tokenizer is None or Path(tokenizer).is_dir()
