"""What every dataset of image-caption pairs shares."""

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from mmengine.logging import print_log

from mvlt.datasets.picture_paths import below, check_is_there
from mvlt.datasets.pipeline import Pipeline, Steps
from mvlt.datasets.sampling import OnError, fetch
from mvlt.mmengine_private import MaybeEmptyDataset
from mvlt.registry import DATASETS
from mvlt.structures import CATEGORIES


def product_share(product_id: str, seed: int) -> float:
    """Where a product lies between 0 and 1: the same on every machine, whatever is beside it."""
    digest = hashlib.sha256(f'{seed}:{product_id}'.encode()).digest()
    return int.from_bytes(digest[:8], 'big') / 2**64


class PairDataset(MaybeEmptyDataset):
    """Records of image and caption; a subclass turns its own file format into records.

    A record is a dict of ``caption`` (str), ``product_id`` (str), ``main_category`` and
    ``sub_category`` (int, where known), and ``img_path`` (str) or, once :meth:`load` has run,
    ``img`` (uint8 (H, W, 3), RGB). More pictures and texts, e.g. of a composed query, are its
    ``images`` and ``texts``, dicts by name (:mod:`mvlt.datasets.pipeline`).

    ``row`` in a record is its line in the annotations, where they have lines.

    ``metainfo`` holds the class names of each label in the order of their ids, ``main_category``
    and ``sub_category`` among them, and as ``<label>_trained`` how many of them training has.

    Args:
        classes: label -> names of the classes in the order of their ids, as a model was trained
            with; None, or a label that is not there: those of the training data, sorted by name.
        on_error: 'raise' stops at a record that cannot be read, a missing picture already at the
            start; 'skip' takes another one in its place, in training only:
            :class:`mvlt.engine.SkippedRecordsHook` counts and bounds them.
        pipeline: steps by name, or a list (:class:`mvlt.datasets.Pipeline`).
        kwargs: BaseDataset's.

    Raises:
        ValueError: evaluation is to skip.
    """

    def __init__(
        self,
        *args: Any,
        classes: Mapping[str, Sequence[str]] | None = None,
        on_error: OnError = 'raise',
        pipeline: Steps | Pipeline | None = None,
        **kwargs: Any,
    ) -> None:
        if on_error not in get_args(OnError):
            raise ValueError(f"on_error='{on_error}'; legal: {', '.join(get_args(OnError))}")
        if on_error == 'skip' and kwargs.get('test_mode'):
            raise ValueError(
                "on_error='skip' with test_mode=True: figures over records that happened to be "
                'readable cannot be compared; find the others with tools/check_dataset.py'
            )
        self.on_error = on_error
        self.classes = {label: tuple(names) for label, names in (classes or {}).items()}
        super().__init__(*args, **kwargs)
        self.pipeline: Pipeline = pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline)

    def __getitem__(self, idx: int) -> dict:
        self.full_init()
        return fetch(idx, self.prepare_data, len(self), self.on_error)

    def load(self, record: dict) -> dict:
        """Add to a record what is too large to keep in memory; nothing by default."""
        return record

    def prepare_data(self, idx: int) -> dict:
        """Record ``idx`` through the pipeline."""
        return self.run_pipeline(self.get_data_info(idx))

    def run_pipeline(self, record: dict) -> dict:
        """A record through the pipeline.

        Raises:
            OSError: a picture cannot be read; the message names the annotations, row and picture.
        """
        try:
            return self.pipeline(self.load(record))
        except OSError as error:
            place = f'{self.ann_file}, row {record["row"]}: ' if 'row' in record else ''
            raise type(error)(f'{place}{error}') from error

    def captions(self) -> list[str]:
        """All captions, one a record."""
        return [self.get_data_info(i)['caption'] for i in range(len(self))]

    @cached_property
    def _root(self) -> str:
        return str(Path(self.data_root or '.').resolve())

    def _picture_path(self, name: str, where: str) -> str:
        """Path of a picture below ``data_root``; one that is missing is refused, unless skipped.

        Raises:
            FileNotFoundError, ValueError: no such file; the path leaves the folder.
        """
        path = below(self._root, name, where)
        if self.on_error == 'raise':
            check_is_there(path, name, self._root, where)
        return path

    def _warn_of_rare(
        self, key: str, names: Sequence[str], products: Sequence[str], source: str
    ) -> None:
        """Name the categories with a single product: nothing can be learnt or ranked in them."""
        seen: dict[str, set[str]] = {}
        for name, product in zip(names, products):
            seen.setdefault(name, set()).add(product)
        rare = [name for name, ids in seen.items() if len(ids) < 2]
        if rare:
            print_log(
                f'{source}: {len(rare)} {key} value(s) with a single product, first in row '
                f'{names.index(rare[0])}: {", ".join(rare)}',
                'current',
                level=30,
            )

    def _number_categories(
        self,
        names: Mapping[str, Sequence[str]],
        training: Mapping[str, Sequence[str]],
        source: str,
        missing: frozenset[str] = frozenset(),
    ) -> dict[str, list[int]]:
        """Names to class ids: those of ``classes``, else of the training data, sorted by name.

        Names that these lack are kept, numbered after the others, and reported: no head can
        predict them, and a metric must count them as missed. What is ``missing`` is -1; so is an
        attribute that is empty.

        Raises:
            ValueError: the data have none of the ``classes`` of a label.
        """
        ids = {}
        for key, values in names.items():
            gone = missing if key in CATEGORIES else {*missing, ''}
            trained = self.classes.get(key, self._ordered(set(training[key]) - gone, training[key]))
            unseen = sorted(set(values) - gone - set(trained))
            there = {*values, *training[key]} - gone
            if key in self.classes and there and not there & set(trained):
                raise ValueError(
                    f'{source}: no {key} of the model is in these data, it has '
                    f'{", ".join(trained[:5])}, they have {", ".join(sorted(there)[:5])}; test it '
                    'on data with its classes, or train on these'
                )
            if unseen and key in CATEGORIES:
                rows = Counter(values)
                print_log(
                    f'{source}: {len(unseen)} {key} name(s) that the training data lacks: '
                    f'{", ".join(f"{name} ({rows[name]} rows)" for name in unseen)}; they are kept '
                    'and count as missed',
                    'current',
                    level=30,
                )
            classes = (*trained, *unseen)
            number = {name: i for i, name in enumerate(classes)}
            ids[key] = [number.get(name, -1) for name in values]
            self.add_metainfo(**{key: classes, f'{key}_trained': len(trained)})
        return ids

    def _ordered(self, names: set[str], values: Sequence[str]) -> Sequence[str]:
        """Classes in the order of their ids.

        Args:
            names: of the training data.
            values: of each of its rows.
        """
        return sorted(names)


class PairWrapper:
    """A dataset over the records of another one; a subclass reads one sample, or a group of them.

    Args:
        dataset: a PairDataset or its config.
    """

    def __init__(self, dataset: PairDataset | dict) -> None:
        self.dataset: PairDataset = (
            DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        )

    @property
    def metainfo(self) -> dict:
        """The wrapped dataset's."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Load the wrapped dataset."""
        self.dataset.full_init()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> Any:
        return fetch(idx, self.read, len(self), self.dataset.on_error)

    @abstractmethod
    def read(self, row: int) -> Any:
        """Row ``row`` as the collate function takes it."""
