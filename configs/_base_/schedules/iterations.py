"""A short schedule in iterations, for small data and small machines. Not in the paper."""

from mmengine.optim import CosineAnnealingLR, LinearLR
from torch.optim import AdamW

from mvlt.engine import IterTrainLoop, AsyncOptimWrapper

iterations = 4000
warmup_iterations = 100
train_cfg = dict(type=IterTrainLoop, max_iters=iterations)
optim_wrapper = dict(
    type=AsyncOptimWrapper,
    optimizer=dict(type=AdamW, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01, fused=True),
    clip_grad=dict(max_norm=1.0),
)
# without an end: until the training ends
param_scheduler = dict(
    warmup=dict(type=LinearLR, start_factor=1e-3, by_epoch=False, begin=0, end=warmup_iterations),
    decay=dict(
        type=CosineAnnealingLR,
        by_epoch=False,
        begin=warmup_iterations,
    ),
)
