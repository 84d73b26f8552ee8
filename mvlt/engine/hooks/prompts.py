"""Passes the names of classes to prompt heads."""

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
    """Passes the class names of the training data to :class:`mvlt.models.PromptHead`."""

    def before_train(self, runner: Runner) -> None:
        """Encode every name in every template; warn of labels that the data lack."""
        hand_names(runner.model, runner.train_loop.dataloader.dataset)


def hand_names(model: nn.Module, dataset: Any) -> None:
    """Pass the class names of a dataset with a tokenizer to a model's prompt heads."""
    heads = [head for head in model.modules() if isinstance(head, PromptHead)]
    if not heads:
        return
    meta = dataset.metainfo
    while not hasattr(dataset, 'pipeline'):
        dataset = dataset.dataset
    tokenize = dataset.pipeline.find(Tokenize)

    def encode(prompt: str) -> torch.Tensor:
        return torch.tensor(tokenize.tokenizer.encode(prompt, tokenize.max_length))

    for head in heads:
        labels = [label for label in head.labels if meta.get(label)]
        if missing := ', '.join(label for label in head.labels if label not in labels):
            line = f'PromptHead learns {", ".join(labels) or "nothing"}: the data have no {missing}'
            print_log(line, 'current', level=30)
        names = {label: meta[label][: meta.get(f'{label}_trained')] for label in labels}
        head.know(
            {
                label: [[encode(text.format(name)) for text in head.templates] for name in classes]
                for label, classes in names.items()
            }
        )
