"""An image, its caption and negative captions: ViLT's ranking objective (Kim et al., 2021)."""

from collections.abc import Sequence

import numpy as np
from mmengine.dataset import pseudo_collate

from mvlt.datasets.pair_dataset import PairDataset, PairWrapper
from mvlt.datasets.pipeline import Pipeline
from mvlt.datasets.transforms import Tokenize
from mvlt.registry import DATASETS, FUNCTIONS
from mvlt.structures import text_key

_TRIES = 1000


@DATASETS.register_module()
class RankingGroups(PairWrapper):
    """Groups of one image, its caption first, and ``num_negatives`` captions of other products.

    Set ``collate_fn=dict(type='collate_groups')`` in the data loader, and use
    :class:`mvlt.models.RankingHead`.

    Args:
        dataset: a PairDataset or its config. Steps of its pipeline before Tokenize run once a
            group, the other steps once a caption.
        num_negatives: negative captions of a group (ViLT: 15), drawn at random.

    Raises:
        ValueError: too few other captions.
    """

    def __init__(self, dataset: PairDataset | dict, num_negatives: int = 15) -> None:
        if num_negatives < 1:
            raise ValueError(f'RankingGroups.num_negatives={num_negatives}: one at least is needed')
        super().__init__(dataset)
        steps: Pipeline = self.dataset.pipeline
        self.image_steps, self.text_steps = steps.around(Tokenize)
        self.num_negatives = num_negatives

    def read(self, row: int) -> list[dict]:
        """The samples of one group."""
        record = self.dataset.get_data_info(row)
        captions = [record['caption'], *self._others(record)]
        image = self.image_steps(self.dataset.load(record))
        # the product of a negative caption does not matter; it is another than the image's
        negative = dict(
            caption_product_id='', image_title=record['caption'], image_other_caption_keys=()
        )
        return [
            self.text_steps(
                {**image, **(negative if i else {}), 'caption': caption, 'matched': int(not i)}
            )
            for i, caption in enumerate(captions)
        ]

    def _others(self, record: dict) -> list[str]:
        captions: dict[str, str] = {}
        for _ in range(_TRIES):
            other = self.dataset.get_data_info(int(np.random.randint(len(self.dataset))))
            if other['product_id'] != record['product_id']:
                key = text_key(other['caption'])
                if key != text_key(record['caption']):
                    captions.setdefault(key, other['caption'])
                if len(captions) == self.num_negatives:
                    return list(captions.values())
        raise ValueError(
            f'product {record["product_id"]}: {_TRIES} draws gave only {len(captions)} captions of '
            f'other products, num_negatives={self.num_negatives} are needed'
        )


@FUNCTIONS.register_module()
def collate_groups(groups: Sequence[list[dict]]) -> dict:
    """Groups of samples -> one batch, group after group."""
    return pseudo_collate([sample for group in groups for sample in group])
