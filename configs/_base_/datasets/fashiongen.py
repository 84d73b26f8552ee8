"""Fashion-Gen, raw HDF5 (docs: data layouts in mvlt/datasets/fashion_gen.py)."""

from mmcv.transforms import Resize
from mmengine.dataset import DefaultSampler

from mvlt.datasets import FashionGen, LoadImage, PackPairInputs, Tokenize

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
vocabulary = dict(vocabulary='bert-base-uncased', download=False)
# None leaves a step out; a task names what it needs, e.g. pipeline.mask
pipeline = dict(
    load=dict(type=LoadImage),
    crop=None,
    augment=None,
    resize=dict(type=Resize, scale=(image_size, image_size), keep_ratio=False, backend='pillow'),
    flip=None,
    mask=None,
    reword=None,
    tokenize=dict(type=Tokenize, max_len=128, **vocabulary),
    words=None,
    pack=dict(type=PackPairInputs),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=8,
    pin_memory=True,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(test_set, pipeline=pipeline),
)
val_loader = dict(
    batch_size=64,
    num_workers=8,
    pin_memory=True,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(val_set, pipeline=pipeline),
)
