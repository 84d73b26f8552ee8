"""Hands the names of classes to what learns them."""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn

from mvlt.datasets.transforms import Tokenize
from mvlt.models import PromptHead
from mvlt.registry import HOOKS


@HOOKS.register_module()
class PromptsHook(Hook):
    """Tells :class:`mvlt.models.PromptHead` how the classes of the training data are called."""

    def before_train(self, runner: Runner) -> None:
        """Encode every name in every wording; labels that the data do not know are named."""
        hand_names(runner.model, runner.train_loop.dataloader.dataset)


def hand_names(model: nn.Module, dataset: Any) -> None:
    """Tell every prompt head of a model the class names of a dataset with a tokenizer."""
    heads = [head for head in model.modules() if isinstance(head, PromptHead)]
    if heads:
        meta = dataset.metainfo
        while not hasattr(dataset, 'pipeline'):
            dataset = dataset.dataset
        tokenize = dataset.pipeline.find(Tokenize)

        def encode(phrase: str) -> torch.Tensor:
            return torch.tensor(tokenize.tokenizer.encode(phrase, tokenize.max_length))

        for head in heads:
            known = [label for label in head.labels if meta.get(label)]
            if len(known) < len(head.labels):
                print_log(
                    f'PromptHead learns {", ".join(known) or "nothing"}: the data have no '
                    f'{", ".join(label for label in head.labels if label not in known)}',
                    'current',
                    level=30,
                )
            names = {label: meta[label][: meta.get(f'{label}_trained')] for label in known}
            head.know(
                {
                    label: [[encode(one.format(name)) for one in head.templates] for name in listed]
                    for label, listed in names.items()
                }
            )
