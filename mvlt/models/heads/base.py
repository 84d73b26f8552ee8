"""The interface of all heads."""

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from mmengine.model import BaseModule

from mvlt.models.features import Features
from mvlt.structures import Batch


class Head(BaseModule):
    """An objective over features, and answers to people.

    Whoever needs a head asks for what it gives (:meth:`mvlt.models.MVLT.head_that`), never for a
    name: names stand in configs.

    Attributes:
        reads: of :class:`mvlt.models.Features`: 'cls' ([CLS] of the pair alone), 'pair', 'image',
            'text', 'decoded' (the neck's map).
        gives: 'embedding' (``image_embeds``, ``text_embeds``), 'match' (``match``), 'classes',
            'words', 'pixels' or 'nothing'.
        takes: arguments that the model hands to its constructor: ``in_channels``, ``vocab_size``,
            ``token_embed_dim``, ``decoded_channels``, ``stride``, ``backbone``, and ``name`` and
            ``label``, both the name that the head has.
        published: whether a trained model has a use for it.
        training_only: settings that a trained model has no use for.
        training_tensors: names of its tensors that serve training alone.
        class_rows: names of its tensors that have a row a class.
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
        """Fields with a value a sample; none by default."""
        return {}
