"""MS-COCO 2014 in Karpathy's split: dataset_coco.json beside train2014/ and val2014/.

Images and captions are read as in ViLT (Kim et al., 2021; fidelity point 33): 40 tokens, a short
side of 384 pixels, RandAugment (2, 9) in training, before resizing. Its magnitude is 9 of 30, every
chosen policy is applied, Invert is not among them. Differences: ViLT keeps the aspect and pads
batches, here the long side is squeezed to 384 too; translations are 4.7 % of a side (30 of 640
pixels); mmpretrain's SolarizeAdd brightens dark pixels only, and its colours weigh red and blue the
other way round.
"""

from mmengine.config import read_base
from mmpretrain.datasets import RandAugment

from mvlt.datasets import COCOCaptions

with read_base():
    from .pairs import *

data_root = 'data/coco'
image_size = 384
train_set = dict(
    type=COCOCaptions,
    data_root=data_root,
    ann_file='dataset_coco.json',
    split='train',
    on_error='skip',  # at most 1 % of the records, see SkippedRecordsHook
)
val_set = dict(train_set, split='val', test_mode=True, on_error='raise')
test_set = dict(train_set, split='test', test_mode=True, on_error='raise')
# a folder with vocab.txt, or this name in the local Hugging Face cache (download=True fetches it)
tokenizer = dict(tokenizer='bert-base-uncased', download=False)
augment = dict(
    type=RandAugment,
    _scope_='mmpretrain',  # where its policies are registered
    num_policies=2,
    magnitude_level=9,
    total_level=30,
    hparams=dict(pad_val=0),
    policies=[
        dict(type='AutoContrast', prob=1.0),
        dict(type='Equalize', prob=1.0),
        dict(type='Rotate', magnitude_range=(0, 30), prob=1.0),
        dict(type='Posterize', bits=1, prob=1.0),
        dict(type='Solarize', magnitude_range=(0, 256), prob=1.0),
        dict(type='SolarizeAdd', magnitude_range=(0, 110), prob=1.0),
        *[
            # factors from 0.1 to 1.9: 0.64
            dict(type=kind, magnitude_range=(-0.9, 0.9), prob=1.0, random_negative_prob=0.0)
            for kind in ('ColorTransform', 'Contrast', 'Brightness', 'Sharpness')
        ],
        *[
            dict(type=kind, magnitude_range=span, prob=1.0, direction=way)
            for kind, span in (('Shear', (0, 0.3)), ('Translate', (0, 100 / 640)))
            for way in ('horizontal', 'vertical')
        ],
    ],
)
pipeline.tokenize.merge(dict(max_length=40, **tokenizer))
test_dataloader.merge(dict(num_workers=8, pin_memory=True))
val_loader.merge(dict(num_workers=8, pin_memory=True))
test_dataloader.dataset = dict(test_set, pipeline=pipeline)
val_loader.dataset = dict(val_set, pipeline=pipeline)
