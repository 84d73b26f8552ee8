"""The demo's drawn products (made by make_demo_data.py) in Fashion-Gen's layout, 64 px."""

from mmcv.transforms import Resize
from mmengine.dataset import DefaultSampler

from mvlt.datasets import FashionGen, LoadImage, PackPairInputs, Tokenize

data_root = 'work_dirs/demo/data'
image_size = 64
train_set = dict(
    type=FashionGen,
    data_root=data_root,
    ann_file='fashiongen_64_64_train.h5',
    split='train',
    val_share=0.05,
    on_error='skip',  # at most 1 % of the records, see SkippedRecordsHook
)
val_set = dict(train_set, split='val', test_mode=True, on_error='raise')
test_set = dict(
    type=FashionGen,
    data_root=data_root,
    ann_file='fashiongen_64_64_validation.h5',
    classes_from='fashiongen_64_64_train.h5',
    test_mode=True,
    on_error='raise',
)
vocab_size = 1000
vocabulary = dict(vocabulary=f'{data_root}/vocabulary')
# None leaves a step out; a task names what it needs, e.g. pipeline.mask
pipeline = dict(
    load=dict(type=LoadImage),
    crop=None,
    augment=None,
    resize=dict(type=Resize, scale=(image_size, image_size), keep_ratio=False, backend='pillow'),
    flip=None,
    mask=None,
    reword=None,
    tokenize=dict(type=Tokenize, max_len=64, **vocabulary),
    words=None,
    pack=dict(type=PackPairInputs),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(test_set, pipeline=pipeline),
)
val_loader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(val_set, pipeline=pipeline),
)
