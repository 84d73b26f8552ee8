"""The demo's drawn products (make_demo_data.py) in Fashion-Gen's layout, 64 pixels."""

from mmengine.config import read_base

from mvlt.datasets import FashionGen

with read_base():
    from .pairs import *

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
tokenizer = dict(tokenizer=f'{data_root}/tokenizer')
pipeline.tokenize.merge(dict(max_length=64, **tokenizer))
test_dataloader.dataset = dict(test_set, pipeline=pipeline)
val_loader.dataset = dict(val_set, pipeline=pipeline)
