"""TIR and ITR on Fashion-Gen with the released network (Table 2: R@1 34.60 and 33.10).

It takes a converted released checkpoint: tools/model_converters/to_mvlt.py released.
Command: tools/dist_test.sh configs/mvlt/retrieval_fashiongen_released.py CHECKPOINT 8
Hardware: 8 GPUs. Time and metric: not measured.
"""

from mmengine.config import read_base


with read_base():
    from .._base_.datasets.fashiongen_released import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.retrieval import *
    from .._base_.models.mvlt_released import *

model.neck = None
model.heads.mir = None
model.heads.mlm = None
