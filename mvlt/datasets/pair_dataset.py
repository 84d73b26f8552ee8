"""What every dataset of image-caption pairs shares."""

from collections import Counter
from collections.abc import Mapping, Sequence

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

CATEGORIES = ('main_category', 'sub_category')


class PairDataset(BaseDataset):
    """Records of image and caption; a subclass turns its own file format into records.

    A record is a dict of ``caption`` (str), ``product_id`` (str), ``main_category`` and
    ``sub_category`` (int, where known), and ``img_path`` (str) or, once :meth:`load` has run,
    ``img`` (uint8 (H, W, 3), RGB).

    ``metainfo`` holds the category names in the order of their ids: ``main_category`` and
    ``sub_category``, tuples of str.
    """

    def load(self, record: dict) -> dict:
        """Add to a record what is too large to keep in memory; nothing by default."""
        return record

    def prepare_data(self, idx: int) -> dict:
        """Record ``idx`` through the pipeline."""
        return self.pipeline(self.load(self.get_data_info(idx)))

    def captions(self) -> list[str]:
        """All captions, one a record."""
        return [self.get_data_info(i)['caption'] for i in range(len(self))]

    def _number_categories(
        self, names: Mapping[str, Sequence[str]], training: Mapping[str, Sequence[str]], source: str
    ) -> dict[str, list[int]]:
        """Names to class ids, in order of first appearance in the training data.

        Names that training lacks are kept, numbered after the others, and reported: no head can
        predict them, and a metric must count them as missed.
        """
        ids = {}
        for key, values in names.items():
            known = list(dict.fromkeys(training[key]))
            unseen = [name for name in dict.fromkeys(values) if name not in set(known)]
            if unseen:
                rows = Counter(values)
                print_log(
                    f'{source}: {len(unseen)} {key} name(s) that the training data lacks: '
                    f'{", ".join(f"{name} ({rows[name]} rows)" for name in unseen)}; they are kept '
                    'and count as missed',
                    'current',
                    level=30,
                )
            classes = (*known, *unseen)
            number = {name: i for i, name in enumerate(classes)}
            ids[key] = [number[name] for name in values]
            self._metainfo[key] = classes
            self._metainfo[f'{key}_trained'] = len(known)
        return ids
