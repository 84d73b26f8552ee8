"""ViLT's schedule for fine-tuning: AdamW 1e-4, 10 epochs, 10 % warm-up, then linear to 0.

Betas 0.9 and 0.98, weight decay 0.01, none on biases and norms (fidelity point 33).
"""

from mmengine.optim import LinearLR
from torch.optim import AdamW

from mvlt.engine import EpochTrainLoop, AsyncOptimWrapper

train_cfg = dict(type=EpochTrainLoop, max_epochs=10)
optim_wrapper = dict(
    type=AsyncOptimWrapper,
    optimizer=dict(type=AdamW, lr=1e-4, betas=(0.9, 0.98), weight_decay=0.01, fused=True),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
# without an end: until the training ends
param_scheduler = dict(
    warmup=dict(
        type=LinearLR,
        start_factor=1e-3,
        by_epoch=True,
        begin=0,
        end=1,
        convert_to_iter_based=True,
    ),
    decay=dict(
        type=LinearLR,
        start_factor=1.0,
        end_factor=0.0,
        by_epoch=True,
        begin=1,
        convert_to_iter_based=True,
    ),
)
