"""Pairs in one JSON file: what the dataset converters write."""

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

    ``image`` is a path below ``data_root``, all values are strings; the categories may be absent,
    ``other_captions`` has a line for each other caption of the pair, and more keys are
    attributes for whom names them.

    Args:
        ann_file: the split's file, below ``data_root``.
        classes_from: the training split's file, whose classes count; None = ``ann_file`` is the
            training split.
        attributes: keys that are labels, too, as categories are; '' = unknown, -1.
        images, texts: keys that are further streams: paths of pictures as ``image``, and texts.
        kwargs: mmengine's BaseDataset (data_root, pipeline, indices, test_mode, ...).

    Raises:
        FileNotFoundError, KeyError, ValueError: no such file, another layout, an image without its
            file, an empty caption; the message names the record.
    """

    unknown: frozenset[str] = frozenset()  # categories that are none

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
        aside: dict[str, Any] = dict(attributes=self.attributes) if self.attributes else {}
        found = []
        for number, record in enumerate(records):
            where = f'{self.ann_file}, records[{number}]'
            found.append(
                dict(
                    self._picture(record['image'], where),
                    caption=record['caption'],
                    product_id=record['product_id'],
                    **self._templates(record),
                    **self._streams(record, where),
                    **{key: values[number] for key, values in ids.items()},
                    **aside,
                )
            )
        return found

    def _records(self, path: str) -> list[dict[str, str]]:
        content = read_json(path, _REMEDY)
        records = content.get('records') if isinstance(content, dict) else None
        if not isinstance(records, list) or not records:
            raise ValueError(f"{path}: no list 'records' in it, or an empty one; {_REMEDY}")
        check_records(records, path)
        return records

    def _templates(self, record: dict[str, str]) -> dict[str, Any]:
        lines = record.get('other_captions', '').splitlines()
        return dict(other_captions=tuple(lines)) if lines else {}

    def _streams(self, record: dict[str, str], where: str) -> dict[str, Any]:
        images, texts = self.streams['images'], self.streams['texts']
        streams: dict[str, Any] = {}
        if images:
            streams['images'] = {key: self._picture(record[key], where) for key in images}
        if texts:
            streams['texts'] = {key: record[key] for key in texts}
        return streams

    def _picture(self, name: str, where: str) -> dict[str, Any]:
        """Where a record's picture is."""
        return dict(img_path=self._picture_path(name, where))


def check_records(records: Sequence[Any], path: str) -> None:
    """Refuse records that lack a key, have other keys than the first or an empty caption.

    Args:
        records: at least one.
        path: where they are from, for the message.

    Raises:
        KeyError, ValueError: such a record.
    """
    keys = set(records[0]) if isinstance(records[0], dict) else set()
    for number, record in enumerate(records):
        if not isinstance(record, dict) or set(record) != keys or not {*KEYS[:3]} <= keys:
            raise KeyError(
                f'{path}, records[{number}]: every record needs {", ".join(KEYS[:3])} and, if any '
                f'has them, {" and ".join(CATEGORIES)} and the same attributes'
            )
        if not all(isinstance(value, str) for value in record.values()):
            raise ValueError(f'{path}, records[{number}]: every value must be a string')
        if not any(character.isalnum() for character in record['caption']):
            raise ValueError(
                f'{path}, records[{number}], product {record["product_id"]}: the caption is empty'
            )
