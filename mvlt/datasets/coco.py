"""MS-COCO 2014 captions in Karpathy's split (Karpathy and Fei-Fei, 2015)."""

from typing import Any

from mvlt.datasets.pair_dataset import PairDataset
from mvlt.files import read_json
from mvlt.registry import DATASETS

# split -> Karpathy's names; he trains on train and restval, 113,287 images
SPLITS = dict(train=('train', 'restval'), val=('val',), test=('test',))
_REMEDY = "it is Karpathy's dataset_coco.json; set data_root (--data-root) and ann_file"


@DATASETS.register_module()
class COCOCaptions(PairDataset):
    """One split; a row is an image with one of its captions, at least five an image.

    ``product_id`` is the image's COCO id, so another caption of the same image is never a
    negative. There are no categories.

    Args:
        ann_file: Karpathy's ``dataset_coco.json``, below ``data_root``.
        split: 'train' (with restval), 'val' or 'test'.
        kwargs: see :class:`PairDataset`; images are in ``train2014/`` and ``val2014/`` below
            ``data_root``.

    Raises:
        FileNotFoundError, KeyError, ValueError: no such file, another layout, a missing image or
            caption; the message names the entry.
    """

    splits = tuple(SPLITS)

    def __init__(self, ann_file: str, split: str = 'train', **kwargs: Any) -> None:
        if split not in SPLITS:
            raise ValueError(f"COCOCaptions.split='{split}'; legal: {', '.join(SPLITS)}")
        self.split = split
        super().__init__(ann_file=ann_file, **kwargs)

    def load_data_list(self) -> list[dict]:
        """A record for each caption, those of an image in sequence."""
        content = read_json(self.ann_file, _REMEDY)
        if not isinstance(content, dict) or not isinstance(content.get('images'), list):
            raise ValueError(f"{self.ann_file}: no list 'images' in it; {_REMEDY}")
        records = []
        for number, image in enumerate(content['images']):
            where = f'{self.ann_file}, images[{number}]'
            try:
                if image['split'] not in SPLITS[self.split]:
                    continue
                name, image_id = f'{image["filepath"]}/{image["filename"]}', str(image['cocoid'])
                captions = [' '.join(sentence['raw'].split()) for sentence in image['sentences']]
            except (KeyError, TypeError, AttributeError) as error:
                raise KeyError(f'{where}: {error} is missing or wrong; {_REMEDY}') from error
            path = self._image_path(name, where)
            if not captions or not all(captions):
                raise ValueError(f'{where}: image {image_id} has an empty caption or none')
            records += [
                dict(img_path=path, product_id=image_id, caption=caption) for caption in captions
            ]
        if not records:
            raise ValueError(f"{self.ann_file}: no image belongs to split '{self.split}'")
        return records
