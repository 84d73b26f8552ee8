"""Moving averages of the weights during training."""

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner

from mvlt.engine.runner import bare_model
from mvlt.mmengine_private import is_resumed
from mvlt.models import ITCHead
from mvlt.registry import HOOKS


@HOOKS.register_module()
class WeightAverageHook(EMAHook):
    """mmengine's moving average of the weights, for validation, tests and publishing.

    A skipped step leaves the average unchanged (with ``train_cfg.async_metrics`` it counts the
    weights before it twice). The average is over the last tenth of the steps until ``momentum`` is
    reached.

    Args:
        momentum: share of a step's weights in the average.
        kwargs: mmengine's EMAHook.
    """

    def __init__(self, momentum: float = 0.002, **kwargs: Any) -> None:
        kwargs = {'ema_type': 'MomentumAnnealingEMA', 'gamma': 10, **kwargs}
        super().__init__(momentum=momentum, **kwargs)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        if outputs:
            super().after_train_iter(runner, batch_idx, data_batch, outputs)


@HOOKS.register_module()
class MomentumHook(Hook):
    """Updates queue and momentum copy of :class:`mvlt.models.ITCHead`.

    The copy starts as the initial weights; a resumed training keeps the checkpoint's. A skipped
    step leaves both unchanged; with ``train_cfg.async_metrics`` the copy follows unchanged weights,
    and NaN embeddings are not queued.
    """

    priority = 'VERY_HIGH'  # before a checkpoint of this step is written

    def before_train(self, runner: Runner) -> None:
        """Copy the weights.

        Raises:
            ValueError: no head of the model has a queue.
        """
        if not _with_queue(runner):
            raise ValueError(
                'MomentumHook: no ITCHead of the model has a queue; set model.heads.itc.queue, or '
                'remove the hook (default_hooks.momentum=None)'
            )
        if not is_resumed(runner):
            for head in _with_queue(runner):
                head.start_following(bare_model(runner).backbone)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        for head in _with_queue(runner):
            if outputs:
                head.follow(bare_model(runner).backbone)
            else:
                head.forget()


def _with_queue(runner: Runner) -> Sequence[ITCHead]:
    heads = bare_model(runner).heads.values()
    return [head for head in heads if isinstance(head, ITCHead) and head.followers is not None]
