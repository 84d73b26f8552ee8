"""Matched and mismatched pairs for image-text matching (Objective 2)."""

import numpy as np

from mvlt.datasets.pair_dataset import PairDataset, PairWrapper
from mvlt.registry import DATASETS
from mvlt.structures import text_key

_TRIES = 1000


@DATASETS.register_module()
class MatchingPairs(PairWrapper):
    """Give an image another product's caption now and then, and say so in ``matched``.

    The other product never has the same id nor the same caption (fidelity point 18).

    Args:
        dataset: a PairDataset or its config.
        negative_prob: share of mismatched pairs, 0 to 1.
        same_category_prob: share of the mismatched pairs whose caption is drawn from the same
            sub-category, 0 to 1. 0 is the paper's ("chosen at random from different entries");
            more is beyond the paper: such captions share the obvious words, so the model must
            look at details. Without sub-categories any product will do.
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
        self._rows_of: dict[int, np.ndarray] | None = None

    def get_data_info(self, idx: int) -> dict:
        """Record ``idx`` of the wrapped dataset, the same each time: nothing is drawn here."""
        return self.dataset.get_data_info(idx)

    def read(self, row: int) -> dict:
        """The record with a caption drawn for it, through the pipeline."""
        return self.dataset.run_pipeline(self.draw(self.dataset.get_data_info(row)))

    def draw(self, record: dict) -> dict:
        """The record with ``matched`` (0 or 1) and the caption that goes with it."""
        if np.random.random() >= self.negative_prob:
            return dict(record, matched=1)
        other = self._other(record)
        texts = {
            key: other[key] for key in ('other_captions', 'other_caption_keys') if key in other
        }
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
            rows = self._category_rows(record['sub_category'])
        for attempt in range(_TRIES):
            if attempt == _TRIES // 10:  # a category of look-alikes only: take any other product
                rows = None
            draw = np.random.randint(len(self.dataset) if rows is None else len(rows))
            other = self.dataset.get_data_info(int(draw if rows is None else rows[draw]))
            if other['product_id'] == record['product_id']:
                continue
            if text_key(other['caption']) != text_key(record['caption']):
                return other
        raise ValueError(
            f'no mismatched caption found for product {record["product_id"]} in {_TRIES} draws: '
            'matching needs at least two products with different captions'
        )

    def _category_rows(self, category: int) -> np.ndarray:
        if self._rows_of is None:
            labels = np.array(
                [self.dataset.get_data_info(i)['sub_category'] for i in range(len(self))]
            )
            self._rows_of = {int(c): np.flatnonzero(labels == c) for c in np.unique(labels)}
        return self._rows_of[category]
