"""Pre-training with FSDP: weights, gradients and optimizer states are sharded over the GPUs.

For models that one GPU cannot hold. Its checkpoints are those of pretrain_fashiongen.py.
Command: tools/dist_train.sh configs/mvlt/scaling/pretrain_fashiongen_fsdp.py 8
Hardware: several GPUs; tests use two CPU processes. Time and metric: not measured.
"""

from mmengine.config import read_base
from mmengine.runner import FlexibleRunner

from mvlt.engine import ShardedStrategy

with read_base():
    from ..pretrain_fashiongen import *

runner_type = FlexibleRunner
strategy = dict(type=ShardedStrategy, sync_bn='torch')
# no validation: ranking and drawing call parts of the model, which sharded weights do not allow
val_cfg = None
val_dataloader = None
val_evaluator = None
default_hooks.pictures = None
