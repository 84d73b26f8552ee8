"""Pre-training with weights, gradients and optimizer states spread over the GPUs (FSDP).

For models that one GPU cannot hold. The checkpoints are those of the config it inherits.
Command: tools/dist_train.sh configs/mvlt/scaling/pretrain_fashiongen_fsdp.py 8
Hardware: several GPUs; two CPU processes do in tests. Time and metric: not measured.
"""

from mmengine.config import read_base
from mmengine.runner import FlexibleRunner

from mvlt.engine import ShardedStrategy

with read_base():
    from ..pretrain_fashiongen import *

runner_type = FlexibleRunner
strategy = dict(type=ShardedStrategy, sync_bn='torch')
# ranking and drawing ask parts of the model, which sharded weights do not allow: no validation
val_cfg = None
val_dataloader = None
val_evaluator = None
default_hooks.pictures = None
