"""Train, validate and rank a model of your own with the same tools and protocols.

Command: tools/train.py projects/example_model/dual_encoder_catalogue.py --data-root MY_CATALOGUE
Then: tools/test.py projects/example_model/dual_encoder_catalogue.py CHECKPOINT
    --data-root MY_CATALOGUE
Hardware: one CPU core. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.models import PairDataPreprocessor
from projects.example_model.colour_dual_encoder import ColourDualEncoder

with read_base():
    from mvlt.configs.mvlt.finetune_catalogue import *

model = dict(
    type=ColourDualEncoder,
    vocab_size=vocab_size,
    data_preprocessor=dict(type=PairDataPreprocessor),
)
load_from = None
default_hooks.tokenizer.train_size = vocab_size
