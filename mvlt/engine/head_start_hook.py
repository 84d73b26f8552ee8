"""Lets one objective start before the others."""

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mvlt.registry import HOOKS


@HOOKS.register_module()
class HeadStartHook(Hook):
    """At first, show whole pairs and hold the losses of some heads at 0; then raise them.

    Beyond the paper, whose model starts from ImageNet weights. A model that starts at random learns
    to match from a signal much smaller than those of rebuilding and predicting; under them, and
    under masks, it may not find it in thousands of steps. On whole pairs alone it does in hundreds.

    Args:
        hold: attributes of the model whose losses wait, e.g. ``('mir_head', 'mlm_head')``.
        begin: iterations on whole pairs, with these losses at 0.
        end: iteration from which their full weights hold; linear in between.
    """

    def __init__(self, hold: Sequence[str], begin: int, end: int) -> None:
        if not 0 <= begin <= end:
            raise ValueError(f'HeadStartHook: 0 <= begin <= end, got begin={begin}, end={end}')
        self.hold = tuple(hold)
        self.begin = begin
        self.end = end
        self._full: dict[str, float] = {}

    def before_train(self, runner: Runner) -> None:
        """Remember the full weights."""
        model: Any = getattr(runner.model, 'module', runner.model)
        for name in self.hold:
            if getattr(model, name, None) is None:
                raise ValueError(f"HeadStartHook: the model builds no '{name}'")
        self._full = {name: getattr(model, name).loss_weight for name in self.hold}

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set what holds in this iteration."""
        model: Any = getattr(runner.model, 'module', runner.model)
        model.data_preprocessor.reveal = runner.iter < self.begin
        for name, full in self._full.items():
            getattr(model, name).loss_weight = full * self.share(runner.iter)

    def after_train(self, runner: Runner) -> None:
        """Leave the model as its config describes it."""
        model: Any = getattr(runner.model, 'module', runner.model)
        model.data_preprocessor.reveal = False
        for name, full in self._full.items():
            getattr(model, name).loss_weight = full

    def share(self, iteration: int) -> float:
        """Part of the full weight, 0 to 1."""
        if iteration >= self.end:
            return 1.0
        return max(0.0, (iteration - self.begin) / max(self.end - self.begin, 1))
