"""The paper's schedule (Sec. 4.1): AdamW, lr 2.5e-3 at batch 1200, weight decay 1e-4, cosine.

The paper states neither epochs nor warm-up. 150 epochs are the released code's; 5 epochs of warm-up
are the released code's and PVT's.
"""

from mmengine.optim import CosineAnnealingLR, LinearLR
from torch.optim import AdamW

from mvlt.engine import EpochTrainLoop, AsyncOptimWrapper

epochs = 150
warmup_epochs = 5
train_cfg = dict(type=EpochTrainLoop, max_epochs=epochs)
optim_wrapper = dict(
    type=AsyncOptimWrapper,
    optimizer=dict(type=AdamW, lr=2.5e-3, betas=(0.9, 0.999), weight_decay=1e-4, fused=True),
)
# without an end: until the training ends
param_scheduler = dict(
    warmup=dict(
        type=LinearLR,
        start_factor=1e-3,
        by_epoch=True,
        begin=0,
        end=warmup_epochs,
        convert_to_iter_based=True,
    ),
    decay=dict(
        type=CosineAnnealingLR,
        by_epoch=True,
        begin=warmup_epochs,
        convert_to_iter_based=True,
    ),
)
# scales lr linearly from 1200 to the batch in use
auto_scale_lr = dict(enable=True, base_batch_size=1200)
