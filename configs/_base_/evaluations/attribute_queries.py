"""Short attribute queries, as shoppers type, and zero-shot classes: AttributeQueryLoop."""

from mvlt.engine import AttributeQueryLoop
from mvlt.evaluation import PrecisionMetric
from mvlt.retrieval import Encoder

test_heads = ('itc',)  # the heads that a protocol tests
test_cfg = dict(
    type=AttributeQueryLoop,
    phrases=dict(
        kind='{sub_category}',
        colour_kind='{colour} {sub_category}',
        gender_kind='{gender} {sub_category}',
    ),
    prompts=dict(
        sub_category=('{}', 'a photo of {}'),
        colour=('{}', 'a photo of {} clothes'),
        gender=('{}', 'clothes for {}'),
    ),
    fewest=10,
    text_weight=0.0,
    encoder=dict(type=Encoder),
    batch_size=256,
)
test_evaluator = dict(type=PrecisionMetric, topk=(1, 10))
