"""Image ranking for a query of a reference image and a text.

A record of train.json and test.json has four strings: ``image`` (the target), ``reference``,
``caption`` (what to change) and ``product_id``.
Command: tools/train.py projects/example_model/composed_json.py --data-root MY_DATA
Then: tools/test.py projects/example_model/composed_json.py CHECKPOINT --data-root MY_DATA
Hardware: one CPU core. Time and metric: not measured.
"""

from mmcv.transforms import Resize
from mmengine.config import read_base
from mmengine.dataset import DefaultSampler

from mvlt.datasets import EndlessSampler, LoadImage, PackPairInputs, PairJSON, Tokenize
from mvlt.engine import StreamRankingLoop
from mvlt.evaluation import RetrievalMetric
from mvlt.models import PairDataPreprocessor
from projects.example_model.composed_query import ComposedQuery

with read_base():
    from mvlt.configs._base_.default_runtime import *
    from mvlt.configs._base_.schedules.iterations import *

data_root = 'data/composed'
query_streams = ('reference', 'text')
vocab_size = 400
tokenizer = dict(tokenizer=f'{data_root}/tokenizer')
pipeline = dict(
    load=dict(type=LoadImage),
    resize=dict(type=Resize, scale=(32, 32), keep_ratio=False, backend='pillow'),
    tokenize=dict(type=Tokenize, max_length=16, **tokenizer),
    pack=dict(type=PackPairInputs),
)
train_set = dict(
    type=PairJSON,
    data_root=data_root,
    ann_file='train.json',
    images=('reference',),
    pipeline=pipeline,
)
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type=EndlessSampler, shuffle=True),
    dataset=train_set,
)
test_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(train_set, ann_file='test.json', test_mode=True),
)
model = dict(
    type=ComposedQuery,
    vocab_size=vocab_size,
    query_streams=query_streams,
    data_preprocessor=dict(type=PairDataPreprocessor),
)
test_cfg = dict(type=StreamRankingLoop, query_streams=query_streams, candidate_streams=('image',))
test_evaluator = dict(type=RetrievalMetric, topk=(1, 5, 10))
default_hooks.tokenizer.train_size = vocab_size
default_hooks.checkpoint.by_epoch = False
default_hooks.checkpoint.interval = 500
default_hooks.checkpoint.save_best = None
log_processor.by_epoch = False
