"""Distillation: a student learns the embeddings and similarities of trained models.

Not in the paper, which names distillation as future work (Sec. 5).

Legend: B pairs of this process, D size of the student's embedding, D_t of a teacher's, N records of
the training data.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mvlt.models.features import Features
from mvlt.models.heads.base import Head, linear
from mvlt.registry import MODELS
from mvlt.structures import Batch

_NEVER = -1e4  # a logit whose probability is 0 in float32


@MODELS.register_module()
class TeacherHead(Head):
    """The student's similarities follow the mean of the teachers', in the batch of a process.

    :class:`mvlt.engine.TeachersHook` embeds the training data with every teacher, once. A teacher
    reads whole images and titles, the student its augmented views. Two terms: the Kullback-Leibler
    divergence of the student's softmax over the batch from the mean of the teachers', both ways,
    and the cosine distance of the student's embeddings, after a linear layer, from each teacher's.
    The head is not published.

    Args:
        teachers: model folders (``tools/model_converters/publish.py``, ``import_folder.py``).
        dims: D_t of each teacher; the hook checks it.
        in_dims: D.
        temperature: of the teachers' softmax.
        similarity_weight, embedding_weight: factors of the two terms.

    Raises:
        ValueError: no teacher, or not a size for each.
    """

    reads = ('image', 'text')
    takes = ()
    published = False
    training_tensors = ('image', 'text')

    def __init__(
        self,
        teachers: Sequence[str],
        dims: Sequence[int],
        in_dims: int = 256,
        temperature: float = 0.05,
        similarity_weight: float = 1.0,
        embedding_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not teachers or len(teachers) != len(dims):
            raise ValueError(
                f'TeacherHead: {len(teachers)} teachers and {len(dims)} dims; name one or more '
                'model folders and the size of the embeddings of each'
            )
        self.teachers = tuple(teachers)
        self.dims = tuple(dims)
        self.temperature = temperature
        self.similarity_weight = similarity_weight
        self.embedding_weight = embedding_weight
        self.image, self.text = (
            nn.ModuleList(linear(in_dims, size) for size in dims) for _ in range(2)
        )
        self._embeds: list[Mapping[str, torch.Tensor]] = []

    def know(self, embeds: Sequence[Mapping[str, torch.Tensor]]) -> None:
        """Set each teacher's embeddings: ``image`` and ``text``, float (N, D_t) of length 1."""
        self._embeds = list(embeds)

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """``loss_similarity`` and ``loss_embedding``, means over this process's pairs.

        A text that is not the record's title (another caption, another product's) is left out of
        both, and mixed images of the whole head.

        Raises:
            ValueError: the teachers' embeddings are not set.
        """
        if not self._embeds:
            raise ValueError(
                'TeacherHead has no embeddings of its teachers: the config needs '
                'default_hooks.teachers = dict(type=TeachersHook)'
            )
        images, texts = features.embeds
        if batch.mixed is not None:
            # with its weights: distributed training waits for the gradients of all
            layers = [*zip(self.image, [images] * len(self.dims))]
            layers += zip(self.text, [texts] * len(self.dims))
            zero = 0.0 * torch.stack([layer(embeds).sum() for layer, embeds in layers]).sum()
            return dict(loss_similarity=zero, loss_embedding=zero)
        rows = torch.tensor([sample.sample_idx for sample in batch.samples])
        is_title = batch.on_device(
            torch.tensor(
                [
                    'read_caption_key' not in sample and 'caption_product_id' not in sample
                    for sample in batch.samples
                ]
            )
        )
        teachers = [
            tuple(batch.on_device(embeds[name][rows]).float() for name in ('image', 'text'))
            for embeds in self._embeds
        ]
        similarity = self._similarity_loss(features, images, texts, teachers, is_title)
        embedding = images.new_zeros(())
        for (of_image, of_text), image, text in zip(teachers, self.image, self.text):
            embedding = embedding + (1 - F.cosine_similarity(image(images), of_image)).mean()
            distance = (1 - F.cosine_similarity(text(texts), of_text)) * is_title
            embedding = embedding + distance.sum() / is_title.sum().clamp(min=1)
        return dict(
            loss_similarity=self.similarity_weight * similarity,
            loss_embedding=self.embedding_weight * embedding / len(teachers),
        )

    def _similarity_loss(
        self,
        features: Features,
        images: torch.Tensor,
        texts: torch.Tensor,
        teachers: Sequence[Any],
        is_title: torch.Tensor,
    ) -> torch.Tensor:
        head = features.model.head_that('embedding')
        logits = head.logits(images, texts).masked_fill(~is_title, _NEVER)
        teacher_logits = [
            (of_image @ of_text.T / self.temperature).masked_fill(~is_title, _NEVER)
            for of_image, of_text in teachers
        ]
        everywhere = torch.ones_like(is_title)
        both = (
            (logits, teacher_logits, everywhere),
            (logits.T, [values.T for values in teacher_logits], is_title),
        )
        total = images.new_zeros(())
        for student, theirs, counted in both:
            target = torch.stack([values.softmax(1) for values in theirs]).mean(0)
            divergence = -(target * student.log_softmax(1) + torch.special.entr(target)).sum(1)
            total = total + (divergence * counted).sum() / counted.sum().clamp(min=1)
        return total / 2
