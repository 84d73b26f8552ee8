"""The last step of every pipeline: tensors and a PairDataSample."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mvlt.registry import TRANSFORMS
from mvlt.structures import STREAMS, PairDataSample, stream_key


@TRANSFORMS.register_module()
class PackPairInputs(BaseTransform):
    """Pack a record as inputs of a model and a PairDataSample.

    ``img`` is an image (H, W, 3), or features, float (N, D) or (D,).

    Returns:
        ``inputs``: ``image`` uint8 (3, H, W), or the features; ``token_ids`` int64 (T,);
        of further streams ``images`` and ``texts``, dicts of the same by name.
        ``data_samples``: a PairDataSample with the record's labels, those in ``attributes``
        included.
    """

    modality = 'record'

    LABELS = ('matched', 'main_category', 'sub_category')
    ARRAYS = ('image_mask', 'mlm_labels')
    META = (
        *('product_id', 'caption', 'title', 'img_path', 'sample_idx'),
        *('other_caption_keys', 'read_caption_key'),
        *('caption_product_id', 'image_title', 'image_other_caption_keys'),
    )

    def transform(self, results: dict) -> dict:
        """Pack."""
        sample = PairDataSample(metainfo={k: results[k] for k in self.META if k in results})
        for key in (*self.LABELS, *results.get('attributes', ())):
            if key in results:
                sample.set_field(int(results[key]), key)
        inputs: dict[str, Any] = dict(image=_image(results), token_ids=_token_ids(results))
        for kind, pack in (('images', _image), ('texts', _token_ids)):
            if kind in results:
                inputs[kind] = {name: pack(stream) for name, stream in results[kind].items()}
        streams = [('', results)]
        for kind in STREAMS:
            streams += results.get(kind, {}).items()
        for name, stream in streams:
            for key in self.ARRAYS:
                if key in stream:
                    sample.set_field(torch.from_numpy(stream[key]), stream_key(name, key))
        return dict(inputs=inputs, data_samples=sample)


def _image(stream: Mapping[str, Any]) -> torch.Tensor:
    image = stream['img']
    if image.ndim == 3:
        image = np.ascontiguousarray(image.transpose(2, 0, 1))
    return torch.from_numpy(image)


def _token_ids(stream: Mapping[str, Any]) -> torch.Tensor:
    return torch.from_numpy(stream['token_ids'])
