"""A catalogue of your own: a table and a folder of images below `data_root`.

`products.json` beside the table names its columns. Without it, the columns below count if the table
has them; otherwise columns are guessed. Run `tools/check_dataset.py --write` to write the file.
State each fact once in a caption: a masked token that occurs twice is guessed from its twin, not
from the image. The split follows a hash of the product id (80 / 10 / 10); `split_by` holds out
whole groups, e.g. 'brand'. The tokenizer is trained on the training captions if it is missing.
"""

from mmengine.config import read_base

from mvlt.datasets import Catalogue

with read_base():
    from .pairs import *

data_root = 'data/catalogue'
image_size = 64
split_by = None
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
    split_by='split_by',
    max_missing_ratio=0.05,  # share of rows without an image or a caption
    on_error='skip',  # at most 1 % of the records, see SkippedRecordsHook
)
val_set = dict(train_set, split='val', test_mode=True, on_error='raise')
test_set = dict(train_set, split='test', test_mode=True, on_error='raise')
vocab_size = 4000
tokenizer = dict(tokenizer=f'{data_root}/tokenizer')
pipeline.tokenize.merge(dict(max_length=64, **tokenizer))
test_dataloader.dataset = dict(test_set, pipeline=pipeline)
val_loader.dataset = dict(val_set, pipeline=pipeline)
