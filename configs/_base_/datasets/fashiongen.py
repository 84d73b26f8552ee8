"""Fashion-Gen, raw HDF5 (mvlt/datasets/fashion_gen.py describes the layout)."""

from mmengine.config import read_base

from mvlt.datasets import FashionGen

with read_base():
    from .pairs import *

data_root = 'data/fashiongen'
image_size = 256
train_set = dict(
    type=FashionGen,
    data_root=data_root,
    ann_file='fashiongen_256_256_train.h5',
    split='train',
    on_error='skip',  # at most 1 % of the records, see SkippedRecordsHook
)
val_set = dict(train_set, split='val', test_mode=True, on_error='raise')
test_set = dict(
    type=FashionGen,
    data_root=data_root,
    ann_file='fashiongen_256_256_validation.h5',
    classes_from='fashiongen_256_256_train.h5',
    test_mode=True,
    on_error='raise',
)
# a folder with vocab.txt, or this name in the local Hugging Face cache (download=True fetches it)
tokenizer = dict(tokenizer='bert-base-uncased', download=False)
pipeline.tokenize.merge(dict(max_length=128, **tokenizer))
test_dataloader.merge(dict(num_workers=8, pin_memory=True))
val_loader.merge(dict(num_workers=8, pin_memory=True))
test_dataloader.dataset = dict(test_set, pipeline=pipeline)
val_loader.dataset = dict(val_set, pipeline=pipeline)
