"""A catalogue of one's own: a table and a folder of pictures below `data_root`.

A file `products.json` beside the table names its columns; without it those below hold where the
table has them, else they are guessed, and what was decided is written there. Say each
thing once in the caption: a hidden word that stands there twice is guessed from its twin, not from
the picture. The split follows a hash of the product id (80 / 10 / 10). The tokenizer is trained on
the training captions when it is not there yet.
"""

from mmengine.config import read_base

from mvlt.datasets import Catalogue

with read_base():
    from .pairs import *

data_root = 'data/catalogue'
image_size = 64
train_set = dict(
    type=Catalogue,
    data_root=data_root,
    ann_file='products.csv',
    columns=dict(
        image='image',
        product_id='id',
        main_category='subCategory',
        sub_category='articleType',
    ),
    caption='{productDisplayName}',
    split='train',
    max_missing_ratio=0.05,  # share of the rows that may lack a picture or a caption
    on_error='skip',  # at most 1 % of the records, see SkippedRecordsHook
)
val_set = dict(train_set, split='val', test_mode=True, on_error='raise')
test_set = dict(train_set, split='test', test_mode=True, on_error='raise')
vocab_size = 4000
tokenizer = dict(tokenizer=f'{data_root}/tokenizer')
pipeline.tokenize.merge(dict(max_length=64, **tokenizer))
test_dataloader.dataset = dict(test_set, pipeline=pipeline)
val_loader.dataset = dict(val_set, pipeline=pipeline)
