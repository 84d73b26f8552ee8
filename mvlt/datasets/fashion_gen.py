"""Fashion-Gen in its raw HDF5 layout (Rostamzadeh et al., 2018)."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any, Literal

import h5py
import numpy as np

from mvlt.datasets.pair_dataset import PairDataset, product_share
from mvlt.registry import DATASETS
from mvlt.structures import CATEGORIES

# record key -> column of the file
COLUMNS = dict(
    main_category='input_category',
    sub_category='input_subcategory',
    product_id='input_productID',
    name='input_name',
    description='input_description',
)
IMAGES = 'input_image'


@DATASETS.register_module()
class FashionGen(PairDataset):
    """One split of Fashion-Gen; a row is an image, all rows of a product share a caption.

    ``input_image`` is uint8 (N, S, S, 3), RGB; every other column (N, 1), text as latin-1 bytes.
    Images are read on access, through one handle a process.

    Args:
        ann_file: the split's file, below ``data_root``.
        classes_from: the training split's file, which defines the classes; None = ``ann_file``.
        class_order: ids by 'name', or by 'appearance' in the training file, as in the released
            code.
        attributes: attribute -> column of the file, e.g. dict(gender='input_gender',
            season='input_season'); an empty cell is -1.
        caption: template over ``name`` and ``description``.
        caption_templates: more templates, which give ``other_captions``.
        split: 'all' rows of the file; 'val', a share of its products held out by a hash of their
            ids; 'train', the rest. Fashion-Gen has no such split: it is tested on "validation".
        val_share: share of the products in 'val', 0 to 1.
        kwargs: see :class:`PairDataset`.

    Raises:
        FileNotFoundError, KeyError, ValueError: a wrong file, column or shape, or an empty
            caption; the message names file, row and remedy.
    """

    def __init__(
        self,
        ann_file: str,
        classes_from: str | None = None,
        class_order: Literal['name', 'appearance'] = 'name',
        caption: str = '{name}. {description}',
        split: str = 'all',
        val_share: float = 0.01,
        attributes: Mapping[str, str] | None = None,
        caption_templates: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        for template in (caption, *caption_templates):
            fields = {field for _, field, _, _ in Formatter().parse(template) if field is not None}
            if not fields <= {'name', 'description'}:
                raise KeyError(f"FashionGen.caption='{template}'; legal fields: name, description")
        if split not in ('all', 'train', 'val') or not 0 <= val_share <= 1:
            raise ValueError(
                f"FashionGen.split='{split}', val_share={val_share}; legal: all, train, val; 0 to 1"
            )
        if class_order not in ('name', 'appearance'):
            raise ValueError(f"FashionGen.class_order='{class_order}'; legal: name, appearance")
        self.class_order = class_order
        self.split = split
        self.val_share = val_share
        self.classes_from = classes_from
        self.caption = caption
        self.caption_templates = tuple(caption_templates)
        self.attributes = dict(attributes or {})
        self._opened: tuple[int, h5py.Dataset] | None = None
        super().__init__(ann_file=ann_file, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read every column but the images."""
        labels = {**{key: COLUMNS[key] for key in CATEGORIES}, **self.attributes}
        columns = _read_columns(self.ann_file, {**COLUMNS, **self.attributes})
        training = columns
        if self.classes_from is not None:
            path = os.path.join(self.data_root or '', self.classes_from)
            training = _read_columns(path, labels)
        ids = self._number_categories(
            {key: columns[key] for key in labels}, training, self.ann_file
        )
        for key in CATEGORIES:
            self._warn_of_rare(key, columns[key], columns['product_id'], self.ann_file)
        records = []
        for row, (product_id, name, description) in enumerate(
            zip(columns['product_id'], columns['name'], columns['description'])
        ):
            held_out = product_share(product_id, 0) < self.val_share
            if self.split != 'all' and held_out != (self.split == 'val'):
                continue
            caption, *others = (
                ' '.join(
                    template.format(name=name, description=description).replace('<br>', ' ').split()
                )
                for template in (self.caption, *self.caption_templates)
            )
            if not any(character.isalnum() for character in caption):
                raise ValueError(
                    f'{self.ann_file}, row {row}, product {product_id}: the caption is empty; '
                    'fill the row or choose other columns in `caption`'
                )
            record = dict(h5_row=row, product_id=product_id, caption=caption)
            record |= {key: values[row] for key, values in ids.items()}
            if self.attributes:
                record['attributes'] = tuple(self.attributes)
            if others:
                record['other_captions'] = tuple(filter(None, others))
            records.append(record)
        return records

    def _ordered(self, names: set[str], values: Sequence[str]) -> Sequence[str]:
        if self.class_order == 'name':
            return super()._ordered(names, values)
        return [name for name in dict.fromkeys(values) if name in names]

    def load(self, record: dict) -> dict:
        """Add ``img``, uint8 (S, S, 3)."""
        try:
            record['img'] = self._images()[record['h5_row']]
        except OSError as error:
            raise OSError(
                f'{self.ann_file}, row {record["h5_row"]}: the image cannot be read ({error}); '
                'the file is damaged, fetch it again'
            ) from error
        return record

    def _images(self) -> h5py.Dataset:
        # HDF5 handles do not survive a fork: each process opens one
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), h5py.File(self.ann_file, 'r')[IMAGES])
        return self._opened[1]

    def __getstate__(self) -> dict:
        return dict(self.__dict__, _opened=None)


def _read_columns(path: str, names: Mapping[str, str]) -> dict[str, list[str]]:
    """Columns of the file as text, for key -> column name; checks names and shapes."""
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'{path}: no such file; Fashion-Gen has fashiongen_256_256_train.h5 and '
            'fashiongen_256_256_validation.h5, put them there or set data_root (--data-root)'
        )
    try:
        file = h5py.File(path, 'r')
    except OSError as error:
        raise ValueError(f'{path}: not a readable HDF5 file ({error}); fetch it again') from error
    with file:
        missing = [key for key in (IMAGES, *names.values()) if key not in file]
        if missing:
            raise KeyError(
                f'{path}: missing key(s) {missing}; it has {sorted(file)}. '
                'Is it the raw Fashion-Gen file?'
            )
        shape, dtype = file[IMAGES].shape, file[IMAGES].dtype
        if len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2] or dtype != np.uint8:
            raise ValueError(
                f'{path}: {IMAGES} is {dtype} {shape}, expected uint8 (N, side, side, 3)'
            )
        columns = {}
        for key, name in names.items():
            column = file[name]
            if column.shape != (shape[0], 1):
                raise ValueError(
                    f'{path}: {name} has shape {column.shape}, expected {(shape[0], 1)}'
                )
            columns[key] = [
                cell.decode('latin-1').strip() if isinstance(cell, bytes) else str(cell)
                for cell in column[:, 0]
            ]
    return columns
