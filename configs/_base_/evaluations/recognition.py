"""M-CR and S-CR: accuracy and macro-F (Sec. 3.3, Task 3)."""

from mmengine.runner import TestLoop

from mvlt.evaluation import CategoryMetric

test_heads = (
    'main_category',
    'sub_category',
)  # the heads that a protocol tests
test_cfg = dict(type=TestLoop)
test_evaluator = [
    dict(type=CategoryMetric, category='main_category'),
    dict(type=CategoryMetric, category='sub_category'),
]
