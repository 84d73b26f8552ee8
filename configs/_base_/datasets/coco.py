"""MS-COCO 2014 in Karpathy's split: dataset_coco.json beside train2014/ and val2014/."""

from mmcv.transforms import Resize

from mvlt.datasets import COCOCaptions, LoadImage, Tokenize

data_root = 'data/coco'
image_size = 256
train_set = dict(
    type=COCOCaptions,
    data_root=data_root,
    ann_file='dataset_coco.json',
    split='train',
    on_error='skip',  # at most 1 % of the records, see SkippedRecordsHook
)
test_set = dict(train_set, split='test', test_mode=True, on_error='raise')
# a folder with vocab.txt, or this name in the local Hugging Face cache (download=True fetches it)
vocabulary = dict(vocabulary='bert-base-uncased', download=False)
to_pixels = [
    dict(type=LoadImage),
    dict(type=Resize, scale=(image_size, image_size), keep_ratio=False, backend='pillow'),
]
to_tokens = [dict(type=Tokenize, max_len=128, **vocabulary)]
