"""The end of every pipeline: a dict of tensors and a PairDataSample."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mvlt.registry import TRANSFORMS
from mvlt.structures import PairDataSample


@TRANSFORMS.register_module()
class PackPairInputs(BaseTransform):
    """Pack what the transforms have left.

    ``img`` is a picture (H, W, 3), or features (N, D) in its place, for models that read some that
    were computed beforehand.

    Returns:
        ``inputs``: ``image`` uint8 (3, H, W), or float (N, D) as it is, ``token_ids`` int64 (T,);
        ``data_samples``: a PairDataSample with those labels that are there, and those that
        ``attributes`` lists.
    """

    LABELS = ('matched', 'main_category', 'sub_category')
    ARRAYS = ('image_mask', 'word_labels')
    META = (
        *('product_id', 'caption', 'title', 'img_path', 'sample_idx'),
        *('wording_keys', 'wording_key'),
        *('caption_product_id', 'image_title', 'image_wording_keys'),
    )

    def transform(self, results: dict) -> dict:
        """Pack."""
        image = results['img']
        if image.ndim == 3:
            image = np.ascontiguousarray(image.transpose(2, 0, 1))
        sample = PairDataSample(metainfo={k: results[k] for k in self.META if k in results})
        for key in (*self.LABELS, *results.get('attributes', ())):
            if key in results:
                sample.set_field(int(results[key]), key)
        for key in self.ARRAYS:
            if key in results:
                sample.set_field(torch.from_numpy(results[key]), key)
        inputs = dict(
            image=torch.from_numpy(image), token_ids=torch.from_numpy(results['token_ids'])
        )
        return dict(inputs=inputs, data_samples=sample)
