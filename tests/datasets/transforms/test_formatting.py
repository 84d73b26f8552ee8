"""Contract: packed records have the shapes and types of structures.py."""

import numpy as np
import torch

from mvlt.datasets import PackPairInputs


def test_everything_is_packed():
    img = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
    packed = PackPairInputs()(
        dict(
            img=img,
            token_ids=np.array([2, 7, 3]),
            mlm_labels=np.array([-1, 9, -1]),
            image_mask=np.array([[True, False]]),
            matched=0,
            main_category=np.int64(4),
            product_id='p1',
            caption='a caption',
        )
    )
    inputs, sample = packed['inputs'], packed['data_samples']
    assert inputs['image'].dtype == torch.uint8 and inputs['image'].shape == (3, 2, 4)
    assert torch.equal(inputs['image'][1], torch.from_numpy(img[..., 1]))
    assert inputs['token_ids'].dtype == torch.int64
    assert sample.image_mask.dtype == torch.bool
    assert (sample.matched, sample.main_category) == (0, 4)
    assert sample.mlm_labels.tolist() == [-1, 9, -1]
    assert (sample.product_id, sample.caption) == ('p1', 'a caption')
    assert 'sub_category' not in sample
