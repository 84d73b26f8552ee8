"""Masks the images of every second training step, as the released code does."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mvlt.registry import HOOKS


@HOOKS.register_module()
class MaskStepsHook(Hook):
    """Show whole images in even training steps and masked ones in odd steps (fidelity point 5).

    The paper masks image and caption in every step; without this hook that is what happens. Steps
    are counted from 0 over the whole training, so a resumed run keeps its turn.
    """

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Switch the data preprocessor's masking."""
        model: Any = getattr(runner.model, 'module', runner.model)
        model.data_preprocessor.mask_images = bool(runner.iter % 2)

    def after_train(self, runner: Runner) -> None:
        """Leave masking on for what follows."""
        model: Any = getattr(runner.model, 'module', runner.model)
        model.data_preprocessor.mask_images = True
