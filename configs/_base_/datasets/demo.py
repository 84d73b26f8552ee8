"""The demo's drawn products (mvlt/datasets/synthetic.py) in Fashion-Gen's layout, 64 px."""

from mmcv.transforms import Resize

from mvlt.datasets import FashionGen, LoadImage, Tokenize

data_root = 'work_dirs/demo/data'
image_size = 64
train_set = dict(
    type=FashionGen,
    data_root=data_root,
    ann_file='fashiongen_64_64_train.h5',
    on_error='skip',  # at most 1 % of the records, see SkippedRecordsHook
)
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
to_pixels = [
    dict(type=LoadImage),
    dict(type=Resize, scale=(image_size, image_size), keep_ratio=False, backend='pillow'),
]
to_tokens = [dict(type=Tokenize, max_len=64, **vocabulary)]
