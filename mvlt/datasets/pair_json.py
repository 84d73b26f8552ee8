"""Pairs in one JSON file, as the dataset converters write it."""

from collections.abc import Sequence
from typing import Any

from mvlt.datasets.pair_dataset import PairDataset
from mvlt.files import read_json
from mvlt.registry import DATASETS
from mvlt.structures import CATEGORIES

KEYS = ('image', 'caption', 'product_id', *CATEGORIES)
_REMEDY = 'make it with tools/dataset_converters/; set data_root (--data-root) and ann_file'


@DATASETS.register_module()
class PairJSON(PairDataset):
    """One split: ``{"records": [{"image", "caption", "product_id", "main_category", ...}]}``.

    All values are strings. ``image`` is a path below ``data_root``; categories are optional;
    ``other_captions`` has a line for each other caption of the pair.

    Args:
        ann_file: the split's file, below ``data_root``.
        classes_from: the training split's file, which defines the classes; None = ``ann_file``.
        attributes: keys that are attributes; '' = unknown, -1.
        images, texts: keys that are further streams: image paths, and texts.
        kwargs: see :class:`PairDataset`.

    Raises:
        FileNotFoundError, KeyError, ValueError: no such file, another layout, a missing image, an
            empty caption; the message names the record.
    """

    unknown: frozenset[str] = frozenset()  # category names that mean -1

    def __init__(
        self,
        ann_file: str,
        classes_from: str | None = None,
        attributes: Sequence[str] = (),
        images: Sequence[str] = (),
        texts: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        self.classes_from = classes_from
        self.attributes = tuple(attributes)
        self.streams = dict(images=tuple(images), texts=tuple(texts))
        super().__init__(ann_file=ann_file, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read and check every record."""
        records = self._records(self.ann_file)
        for setting, keys in dict(self.streams, attributes=self.attributes).items():
            unknown = [key for key in keys if key not in records[0]]
            if unknown:
                raise KeyError(
                    f"PairJSON.{setting}: '{unknown[0]}'; the records of {self.ann_file} have "
                    f'{", ".join(records[0])}'
                )
        training = records
        if self.classes_from is not None:
            training = self._records(f'{self.data_root or "."}/{self.classes_from}')
        categories = [key for key in CATEGORIES if key in records[0]]
        present = [*categories, *self.attributes]
        missing = [key for key in present if key not in training[0]]
        if missing:
            raise KeyError(
                f"{self.classes_from}: its records lack '{missing[0]}', which those of "
                f'{self.ann_file} have; convert both again'
            )
        ids = self._number_categories(
            {key: [record[key] for record in records] for key in present},
            {key: [record[key] for record in training] for key in present},
            self.ann_file,
            self.unknown,
        )
        data_list = []
        for number, record in enumerate(records):
            where = f'{self.ann_file}, records[{number}]'
            entry = dict(
                self._image(record['image'], where),
                caption=record['caption'],
                product_id=record['product_id'],
                **self._streams(record, where),
                **{key: values[number] for key, values in ids.items()},
            )
            if other_captions := record.get('other_captions'):
                entry['other_captions'] = tuple(other_captions.splitlines())
            if self.attributes:
                entry['attributes'] = self.attributes
            data_list.append(entry)
        return data_list

    def _records(self, path: str) -> list[dict[str, str]]:
        content = read_json(path, _REMEDY)
        records = content.get('records') if isinstance(content, dict) else None
        if not isinstance(records, list) or not records:
            raise ValueError(f"{path}: no list 'records' in it, or an empty one; {_REMEDY}")
        check_records(records, path)
        return records

    def _streams(self, record: dict[str, str], where: str) -> dict[str, Any]:
        streams = dict(
            images={key: self._image(record[key], where) for key in self.streams['images']},
            texts={key: record[key] for key in self.streams['texts']},
        )
        return {kind: stream for kind, stream in streams.items() if stream}

    def _image(self, name: str, where: str) -> dict[str, Any]:
        """Keys of a record that locate its image."""
        return dict(img_path=self._image_path(name, where))


def check_records(records: Sequence[Any], path: str) -> None:
    """KeyError or ValueError for missing or differing keys, other types or empty captions."""
    keys = set(records[0]) if isinstance(records[0], dict) else set()
    for number, record in enumerate(records):
        if not isinstance(record, dict) or set(record) != keys or not {*KEYS[:3]} <= keys:
            raise KeyError(
                f'{path}, records[{number}]: every record needs {", ".join(KEYS[:3])}, and '
                f'{" and ".join(CATEGORIES)} and attributes if any record has them'
            )
        if not all(isinstance(value, str) for value in record.values()):
            raise ValueError(f'{path}, records[{number}]: every value must be a string')
        if not any(character.isalnum() for character in record['caption']):
            raise ValueError(
                f'{path}, records[{number}], product {record["product_id"]}: the caption is empty'
            )
