"""The interface of all heads."""

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from mmengine.model import BaseModule

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
