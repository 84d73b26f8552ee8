"""The colour of a catalogue's products, from the image alone.

The table's column of colours takes the role of the sub-category.
Command: tools/train.py projects/example_head/colour_catalogue.py --data-root MY_CATALOGUE
Hardware: one CPU core. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.evaluation import CategoryMetric
from projects.example_head.colour_head import ColourHead

with read_base():
    from mvlt.configs.mvlt.recognition_catalogue import *

model.heads.main_category = None
model.heads.sub_category = None
model.heads.colour = dict(type=ColourHead, num_classes='data', label='sub_category')
train_dataloader.dataset.columns.sub_category = 'baseColour'
test_dataloader.dataset.columns.sub_category = 'baseColour'
test_evaluator = dict(type=CategoryMetric, category='sub_category', head='colour')
load_from = None
default_hooks.tokenizer.train_size = vocab_size
find_unused_parameters = True  # several processes: nothing reads the text encoder
