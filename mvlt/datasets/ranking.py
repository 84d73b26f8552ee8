"""An image, its caption and wrong captions: ViLT's way to train ranking (Kim et al., 2021)."""

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
    """A group is one image with its caption first and ``num_negatives`` captions of others.

    Needs ``collate_fn=dict(type='collate_groups')`` in the data loader, which lays the groups of a
    batch one behind the other, and :class:`mvlt.models.RankingHead` in the model.

    Args:
        dataset: a PairDataset or its config. Its pipeline's steps before Tokenize run once a
            group, the others once a caption.
        num_negatives: wrong captions a group (ViLT: 15), drawn at random from other products.

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
        seen = self.image_steps(self.dataset.load(record))
        # whose a wrong caption is nobody asks; it is not this picture's
        wrong = dict(
            caption_product_id='', image_title=record['caption'], image_other_caption_keys=()
        )
        return [
            self.text_steps(
                {**seen, **(wrong if place else {}), 'caption': caption, 'matched': int(not place)}
            )
            for place, caption in enumerate(captions)
        ]

    def _others(self, record: dict) -> list[str]:
        found: dict[str, str] = {}
        for _ in range(_TRIES):
            other = self.dataset.get_data_info(int(np.random.randint(len(self.dataset))))
            if other['product_id'] != record['product_id']:
                key = text_key(other['caption'])
                if key != text_key(record['caption']):
                    found.setdefault(key, other['caption'])
                if len(found) == self.num_negatives:
                    return list(found.values())
        raise ValueError(
            f'product {record["product_id"]}: only {len(found)} captions of other products '
            f'found in {_TRIES} draws, num_negatives={self.num_negatives} are needed'
        )


@FUNCTIONS.register_module()
def collate_groups(groups: Sequence[list[dict]]) -> dict:
    """Groups of samples -> one batch, group behind group."""
    return pseudo_collate([sample for group in groups for sample in group])
