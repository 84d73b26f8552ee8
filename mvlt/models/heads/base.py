"""The interface of all heads, and layers, losses and sums over processes that they share."""

from abc import abstractmethod
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from mmengine.model import BaseModule
from torch import nn
from torch.distributed.nn import functional as with_gradients

from mvlt.models.features import Features
from mvlt.structures import Batch


class Head(BaseModule):
    """An objective over features, with predictions.

    Code selects a head by its output (:meth:`mvlt.models.MVLT.head_that`), not by its name, which
    the config chooses.

    Attributes:
        reads: inputs, fields of :class:`mvlt.models.Features`: 'cls' ([CLS] of the pair alone),
            'pair', 'image', 'text', 'decoded' (the neck's map).
        gives: 'embedding' (``image_embeds``, ``text_embeds``), 'match' (``match``), 'classes',
            'words', 'pixels' or 'nothing'.
        takes: constructor arguments from the model: ``in_channels``, ``vocab_size``,
            ``token_embed_dim``, ``decoded_channels``, ``stride``, ``backbone``, and ``name`` and
            ``label``, both the name of the head.
        published: whether a trained model needs the head.
        training_only: settings for training alone.
        training_tensors: names of the tensors for training alone.
        class_rows: names of the tensors with one row for each class.
    """

    reads: tuple[str, ...] = ('pair',)
    gives: ClassVar[str] = 'nothing'
    takes: ClassVar[tuple[str, ...]] = ('in_channels',)
    published: ClassVar[bool] = True
    training_only: ClassVar[tuple[str, ...]] = ()
    training_tensors: ClassVar[tuple[str, ...]] = ()
    class_rows: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Terms by name, scalars; ``loss`` becomes ``loss_<name of the head>``."""

    def predict(self, features: Features, batch: Batch) -> dict[str, Any]:
        """Fields with a value for each sample; none by default."""
        return {}


def linear(in_dims: int, dims: int) -> nn.Linear:
    """A linear layer, initialized as in BERT: truncated normal of 0.02, bias 0."""
    layer = nn.Linear(in_dims, dims)
    nn.init.trunc_normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer


def projection(in_dims: int, dims: int) -> nn.Sequential:
    """Linear and LayerNorm, (..., in_dims) -> (..., dims): every head of the released code."""
    return nn.Sequential(linear(in_dims, dims), nn.LayerNorm(dims))


def all_gather(values: torch.Tensor) -> torch.Tensor:
    """(B, ...) of each process -> (G, ...), concatenated, with gradients to all processes."""
    if get_world_size() == 1:
        return values
    return torch.cat(with_gradients.all_gather(values))


def mean_count(chosen: torch.Tensor) -> torch.Tensor:
    """Mean over the processes of the number of True values, at least 1; a float32 scalar.

    DistributedDataParallel averages gradients over processes. A sum divided by this count gives
    the mean over all processes, as one process with the whole batch would.

    Args:
        chosen: bool, any shape.
    """
    count = chosen.sum().float()
    all_reduce(count, 'mean')
    return torch.where(count > 0, count, 1)


def class_loss(
    logits: torch.Tensor,
    classes: torch.Tensor,
    label_smoothing: float,
    mixed: tuple[torch.Tensor, float] | None = None,
) -> torch.Tensor:
    """Cross-entropy, the mean over the known classes of all processes.

    Args:
        logits: (B, classes).
        classes: int64 (B,); -1 (unknown) is ignored.
        label_smoothing: 0 to 1, share of the target that is spread over all classes.
        mixed: see :attr:`mvlt.structures.Batch.mixed`.
    """
    loss = F.cross_entropy(
        logits.float(),
        classes,
        ignore_index=-1,
        label_smoothing=label_smoothing,
        reduction='sum',
    )
    loss = loss / mean_count(classes >= 0)
    if mixed is None:
        return loss
    partner, share = mixed
    return share * loss + (1 - share) * class_loss(logits, classes[partner], label_smoothing)
