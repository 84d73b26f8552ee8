"""The datasets of the splits of a config."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mvlt.datasets import PairDataset
from mvlt.datasets.pair_dataset import OnError
from mvlt.registry import DATASETS


def split_of(config: Config, split: str, on_error: OnError = 'raise') -> PairDataset:
    """The records of a split of a config's data, without a pipeline.

    The config's own loader of the split counts, else its test data with another ``split``.

    Raises:
        ValueError: it has neither.
    """
    loader = config.get(f'{split}_dataloader') or {}
    settings: Mapping[str, Any] = loader.get('dataset') or config.test_dataloader.dataset
    while 'dataset' in settings:  # wrappers
        settings = settings['dataset']
    if not loader.get('dataset'):
        if 'split' not in settings:
            raise ValueError(
                f'{config.filename}: no {split}_dataloader, and its test data have no split; name '
                'a recipe with training data'
            )
        settings = {k: v for k, v in settings.items() if k != 'indices'} | dict(split=split)
    dataset: PairDataset = DATASETS.build(
        dict(settings, pipeline=[], test_mode=on_error == 'raise', on_error=on_error)
    )
    return dataset


def captions_of_split(config: Config, split: str) -> list[str] | None:
    """The captions of :func:`split_of`, whether its images are there or not; None without it."""
    try:
        return split_of(config, split, on_error='skip').captions()
    except (KeyError, OSError, ValueError) as error:
        print_log(f'no captions of {split} to compare with: {error}', 'current', level=30)
        return None
