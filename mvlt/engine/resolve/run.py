"""A config while it is resolved, and the list of changes."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from mvlt.checkpoints.weights import Weights

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_OF_MODEL = ('model', 'load_from', 'tokenizer', 'classes', 'images', 'test_cfg', 'trained on')


class Run:
    """A config while it is resolved; ``changes`` lists what was changed."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.again = 'resolved' in config  # the dump of a run
        self.changes: list[str] = list(config.get('resolved') or [])

    def note(self, line: str) -> None:
        """Note a change, once."""
        if line not in self.changes:
            self.changes.append(line)

    def forget_other_models(self, weights: Weights | None) -> None:
        """Drop what a dump notes about the model of another run."""
        source = weights.source if weights else ''
        self.changes = [
            line
            for line in self.changes
            if not line.startswith(_OF_MODEL) or source in line or 'of this run' in line
        ]


def datasets_of(config: Config) -> Iterator[tuple[str, Any]]:
    """(loader, settings) of each loader's innermost dataset."""
    for loader in LOADERS:
        dataset = (config.get(loader) or {}).get('dataset')
        while dataset is not None and 'dataset' in dataset:
            dataset = dataset['dataset']
        if dataset is not None:
            yield loader, dataset


def plain(value: Any) -> Any:
    """Settings as a dump has them: tuples as lists, without None values."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if item is not None}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
