"""Fine-tuning of a published model on a catalogue, e.g. an imported CLIP, SigLIP or open_clip.

The model, its image preprocessing and its tokenizer come from the folder
(tools/model_converters/import_folder.py). The learning rate is a hundredth of
dual_encoder_catalogue.py's.
Command: tools/train.py configs/mvlt/finetune_folder_catalogue.py --from MY_MODEL
    --data-root MY_CATALOGUE
Hardware: one GPU; a CPU for small models. Time and metric: not measured.
"""

from mmcv.transforms import RandomFlip
from mmengine.config import read_base

from mvlt.datasets import EndlessSampler

with read_base():
    from .._base_.evaluations.validation import *
    from .._base_.schedules.iterations import *
    from .retrieval_search_catalogue import *

train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=EndlessSampler, shuffle=True),
    dataset=dict(train_set, pipeline=dict(pipeline, flip=dict(type=RandomFlip, prob=0.5))),
)
optim_wrapper.optimizer.lr = 1e-5
optim_wrapper.optimizer.weight_decay = 0.1
optim_wrapper.paramwise_cfg = dict(
    norm_decay_mult=0.0, bias_decay_mult=0.0, custom_keys=dict(logit_scale=dict(decay_mult=0.0))
)
train_cfg.val_interval = 500
train_cfg.max_iters = 1000
default_hooks.checkpoint.by_epoch = False
default_hooks.checkpoint.interval = 250
log_processor.by_epoch = False
val_dataloader = val_loader
val_cfg.rerank = None
