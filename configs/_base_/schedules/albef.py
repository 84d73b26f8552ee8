"""ALBEF's pre-training schedule (Li et al., 2021): AdamW 1e-4 to 1e-5, weight decay 0.02.

15,000 steps are 30 epochs of Fashion-Gen's 260,490 rows at batch 512; 1,000 steps of warm-up.
"""

from mmengine.optim import CosineAnnealingLR, LinearLR
from torch.optim import AdamW

from mvlt.engine import IterTrainLoop, AsyncOptimWrapper

iterations = 15000
warmup_iterations = 1000
train_cfg = dict(type=IterTrainLoop, max_iters=iterations, val_interval=500)
optim_wrapper = dict(
    type=AsyncOptimWrapper,
    optimizer=dict(type=AdamW, lr=1e-4, weight_decay=0.02, fused=True),
    paramwise_cfg=dict(
        norm_decay_mult=0.0, bias_decay_mult=0.0, custom_keys=dict(logit_scale=dict(decay_mult=0.0))
    ),
)
# without an end: until the training ends
param_scheduler = dict(
    warmup=dict(
        type=LinearLR,
        start_factor=0.1,
        by_epoch=False,
        begin=0,
        end=warmup_iterations,
    ),
    decay=dict(
        type=CosineAnnealingLR,
        eta_min=1e-5,
        by_epoch=False,
        begin=warmup_iterations,
    ),
)
# scales lr linearly from 512 to the batch in use
auto_scale_lr = dict(enable=True, base_batch_size=512)
