"""Late unfreezing: the last stages of the image network learn, too.

Starts from dual_encoder_catalogue.py.
Images are augmented at every step, since features of a trained network cannot be cached. The two
stages learn at a third of the rate; BatchNorm keeps its statistics.
Command: tools/train.py configs/mvlt/finetune_dual_encoder_catalogue.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .dual_encoder_catalogue import *

load_from = 'work_dirs/dual_encoder_catalogue/iter_1500.pth'
image_size = 160
model.backbone.image_encoder.trainable = ('timm_model.blocks.5', 'timm_model.blocks.6')
default_hooks.features = None
train_dataloader.batch_size = 128
optim_wrapper.optimizer.lr = 2e-4
optim_wrapper.paramwise_cfg.custom_keys.merge(lite0_rates)
train_cfg.max_iters = 1000
train_cfg.val_interval = 500
