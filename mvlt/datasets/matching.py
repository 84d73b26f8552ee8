"""Positive and negative pairs for image-text matching (Objective 2)."""

from functools import cached_property

import numpy as np

from mvlt.datasets.pair_dataset import PairDataset, PairWrapper
from mvlt.registry import DATASETS
from mvlt.structures import text_key

_TRIES = 1000
_OF_CAPTION = ('other_captions', 'other_caption_keys', 'brand')  # go with a record's caption


@DATASETS.register_module()
class MatchingPairs(PairWrapper):
    """Pairs of which some have another product's caption; ``matched`` says which.

    The other product has another id and another caption (fidelity point 18).

    Args:
        dataset: a PairDataset or its config.
        negative_prob: share of negative pairs, 0 to 1.
        same_category_prob: share of the negatives that come from the same sub-category, 0 to 1.
            The paper has 0 ("chosen at random from different entries"). With more, captions share
            the obvious words, so the model must learn details. Has no effect without
            sub-categories.
    """

    def __init__(
        self,
        dataset: PairDataset | dict,
        negative_prob: float = 0.5,
        same_category_prob: float = 0.0,
    ) -> None:
        for name, value in dict(
            negative_prob=negative_prob, same_category_prob=same_category_prob
        ).items():
            if not 0 <= value <= 1:
                raise ValueError(f'MatchingPairs.{name}={value}: a share from 0 to 1 is needed')
        super().__init__(dataset)
        self.negative_prob = negative_prob
        self.same_category_prob = same_category_prob

    def get_data_info(self, idx: int) -> dict:
        """Record ``idx`` of the wrapped dataset, with its own caption."""
        return self.dataset.get_data_info(idx)

    def read(self, row: int) -> dict:
        """The record with a caption drawn for it, after the pipeline."""
        return self.dataset.run_pipeline(self.draw(self.dataset.get_data_info(row)))

    def draw(self, record: dict) -> dict:
        """The record with ``matched`` (0 or 1) and the caption that goes with it."""
        if np.random.random() >= self.negative_prob:
            return dict(record, matched=1)
        other = self._other(record)
        texts = {key: other[key] for key in _OF_CAPTION if key in other}
        return {
            **record,
            **texts,
            'matched': 0,
            'caption': other['caption'],
            'caption_product_id': other['product_id'],
            'image_title': record['caption'],
            'image_other_caption_keys': record.get('other_caption_keys', ()),
        }

    def _other(self, record: dict) -> dict:
        rows = None
        if 'sub_category' in record and np.random.random() < self.same_category_prob:
            rows = self._rows_of[record['sub_category']]
        for attempt in range(_TRIES):
            if attempt == _TRIES // 10:  # the category may have one caption: take any product
                rows = None
            row = np.random.randint(len(self.dataset) if rows is None else len(rows))
            other = self.dataset.get_data_info(int(row if rows is None else rows[row]))
            if other['product_id'] == record['product_id']:
                continue
            if text_key(other['caption']) != text_key(record['caption']):
                return other
        raise ValueError(
            f'no negative caption found for product {record["product_id"]} in {_TRIES} draws: '
            'matching needs at least two products with different captions'
        )

    @cached_property
    def _rows_of(self) -> dict[int, np.ndarray]:
        """Rows of each sub-category."""
        classes = np.array(
            [self.dataset.get_data_info(i)['sub_category'] for i in range(len(self))]
        )
        return {int(c): np.flatnonzero(classes == c) for c in np.unique(classes)}
