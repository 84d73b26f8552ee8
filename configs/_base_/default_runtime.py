"""Shared by all runs: logging, checkpoints, seeds, and the checks before a start."""

from mmengine.hooks import (
    DistSamplerSeedHook,
    IterTimerHook,
    LoggerHook,
    ParamSchedulerHook,
    RuntimeInfoHook,
)
from mmengine.runner import LogProcessor
from mmengine.visualization import LocalVisBackend, Visualizer

from mvlt.engine import (
    FirstStepsHook,
    LoadReportHook,
    ResultsHook,
    SkippedRecordsHook,
    StopHook,
    TokenizerHook,
    WholeCheckpointHook,
)

default_scope = 'mvlt'
default_hooks = dict(
    runtime_info=dict(type=RuntimeInfoHook),
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type=ParamSchedulerHook),
    checkpoint=dict(
        type=WholeCheckpointHook,
        interval=1,
        max_keep_ckpts=2,
        save_best='retrieval/tir/R@10',  # if val_cfg measures it
        rule='greater',
    ),
    sampler_seed=dict(type=DistSamplerSeedHook),
    tokenizer=dict(type=TokenizerHook),
    load_report=dict(type=LoadReportHook),
    skipped_records=dict(type=SkippedRecordsHook),
    results=dict(type=ResultsHook),
    first_steps=dict(type=FirstStepsHook),
    stop=dict(type=StopHook),
)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl', timeout=1800),  # seconds until a silent process is an error
)
log_processor = dict(type=LogProcessor, window_size=50)
# TensorBoard: visualizer.vis_backends.append(dict(type=TensorboardVisBackend)) in a config. W&B and
# MLflow: WandbVisBackend and MLflowVisBackend of mmengine.visualization
visualizer = dict(type=Visualizer, vis_backends=[dict(type=LocalVisBackend)])
randomness = dict(seed=0)
# activation_checkpointing = ['backbone.stages.0.layers.0', ...]: these modules compute their
# features again in the backward pass; less memory, more time
log_level = 'INFO'
load_from = None
resume = False
