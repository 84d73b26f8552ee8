"""Masks the images of every second training step, as the released code does."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mvlt.engine.runner import bare_model
from mvlt.registry import HOOKS


@HOOKS.register_module()
class MaskStepsHook(Hook):
    """Masks images in odd training steps only (fidelity point 5).

    Without this hook, images are masked in every step, as in the paper. Steps count from 0 over the
    whole training.
    """

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        bare_model(runner).data_preprocessor.mask_images = bool(runner.iter % 2)

    def after_train(self, runner: Runner) -> None:
        """Turn masking on again."""
        bare_model(runner).data_preprocessor.mask_images = True
