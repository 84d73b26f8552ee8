"""Pre-training with DeepSpeed, ZeRO stage 1: optimizer states are sharded over the GPUs.

DeepSpeed is an optional package: `pip install deepspeed`. Its checkpoints are folders; it clips and
scales gradients itself, in bfloat16.
Command: tools/dist_train.sh configs/mvlt/scaling/pretrain_fashiongen_deepspeed.py 8
Hardware: several GPUs. Time and metric: not measured.
"""

from mmengine._strategy import DeepSpeedStrategy
from mmengine._strategy.deepspeed import DeepSpeedOptimWrapper
from mmengine.config import read_base
from mmengine.runner import FlexibleRunner

with read_base():
    from ..pretrain_fashiongen import *

runner_type = FlexibleRunner
strategy = dict(
    type=DeepSpeedStrategy,
    bf16=dict(enabled=True),
    zero_optimization=dict(stage=1, overlap_comm=True),
)
optim_wrapper.type = DeepSpeedOptimWrapper
# no validation: ranking and drawing call parts of the model, which sharded weights do not allow
val_cfg = None
val_dataloader = None
val_evaluator = None
default_hooks.pictures = None
