"""The released code's schedule: lr 2.5e-4 x batch / 512, weight decay 0.01, 150 epochs.

5 epochs of warm-up from 1e-6 (at batch 1200), cosine down to 1e-5, no decay on biases and norms
(timm's rule).
"""

from mmengine.optim import CosineAnnealingLR, LinearLR
from torch.optim import AdamW

from mvlt.engine import EpochTrainLoop, AsyncOptimWrapper

epochs = 150
warmup_epochs = 5
rate = 2.5e-4
train_cfg = dict(type=EpochTrainLoop, max_epochs=epochs)
optim_wrapper = dict(
    type=AsyncOptimWrapper,
    optimizer=dict(type=AdamW, lr=rate, betas=(0.9, 0.999), weight_decay=0.01, fused=True),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
# without an end: until the training ends
param_scheduler = dict(
    warmup=dict(
        type=LinearLR,
        start_factor=1e-6 / (rate * 1200 / 512),
        by_epoch=True,
        begin=0,
        end=warmup_epochs,
        convert_to_iter_based=True,
    ),
    decay=dict(
        type=CosineAnnealingLR,
        eta_min=1e-5,
        by_epoch=True,
        begin=warmup_epochs,
        convert_to_iter_based=True,
    ),
)
# scales lr linearly from 512 to the batch in use: 5.86e-4 at 1200
auto_scale_lr = dict(enable=True, base_batch_size=512)
