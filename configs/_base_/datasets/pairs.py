"""How images and captions are read: the steps in order, and the loaders.

A data config chooses the records, fills `pipeline.tokenize` and gives the loaders their dataset. A
task fills the steps that it needs, e.g. `pipeline.mask`; None removes a step. The data config sets
`image_size` (configs/README.md).
"""

from mmcv.transforms import Resize
from mmengine.dataset import DefaultSampler

from mvlt.datasets import LoadImage, PackPairInputs, Tokenize

pipeline = dict(
    load=dict(type=LoadImage),
    background=None,
    zoom=None,
    crop=None,
    augment=None,
    resize=dict(
        type=Resize, scale=('image_size', 'image_size'), keep_ratio=False, backend='pillow'
    ),
    flip=None,
    mask=None,
    augment_caption=None,
    tokenize=dict(type=Tokenize),
    words=None,
    pack=dict(type=PackPairInputs),
)
test_dataloader = dict(
    batch_size=64, num_workers=0, sampler=dict(type=DefaultSampler, shuffle=False)
)
val_loader = dict(test_dataloader)
