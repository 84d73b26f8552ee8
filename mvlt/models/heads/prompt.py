"""Contrast of images with the names of their classes.

Not in the paper; as GCL (Marqo) and the prompts of FashionSAP.

Legend: B pairs of this process, D size of an embedding, P prompts: the classes of all labels.
"""

from collections.abc import Mapping, Sequence

import torch
from torch.nn.utils.rnn import pad_sequence

from mvlt.models.features import Features, mean_of_tokens
from mvlt.models.heads.base import Head, class_loss
from mvlt.registry import MODELS
from mvlt.structures import Batch


@MODELS.register_module()
class PromptHead(Head):
    """Classifies images by the similarity to the names of classes.

    Names are encoded as captions are and compared by the embedding head. So a colour or a category
    alone is a good query, and names classify images. The head has no weights.
    :class:`mvlt.engine.PromptsHook` sets the names from the training data.

    Args:
        labels: categories and attributes; unknown to the training data are ignored.
        templates: caption templates for a name, used in turn.
        label_smoothing: 0 to 1, share of the target that is spread over all classes.
        loss_weight: factor of the sum of the labels' losses.

    Raises:
        ValueError: a template without ``{}``.
    """

    reads = ('image', 'text')
    takes = ()
    published = False

    def __init__(
        self,
        labels: Sequence[str],
        templates: Sequence[str] = ('{}',),
        label_smoothing: float = 0.0,
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        for template in templates:
            if '{}' not in template:
                raise ValueError(f"PromptHead.templates: '{template}' lacks {{}} for the name")
        self.labels = tuple(labels)
        self.templates = tuple(templates)
        self.label_smoothing = label_smoothing
        self.loss_weight = loss_weight
        self._counts: dict[str, int] | None = None
        self._prompts: list[torch.Tensor] = []

    def know(self, token_ids: Mapping[str, Sequence[Sequence[torch.Tensor]]]) -> None:
        """Set the names: label -> class -> template -> token ids int64 (T,)."""
        self._counts = {label: len(classes) for label, classes in token_ids.items()}
        self._prompts = [
            pad_sequence(
                [by_template[i] for classes in token_ids.values() for by_template in classes],
                batch_first=True,
                padding_value=-1,
            )
            for i in range(len(self.templates) if token_ids else 0)
        ]

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Weighted sum of the labels' cross-entropies; -1 (unknown) is ignored.

        Raises:
            ValueError: the names are not set.
        """
        if self._counts is None:
            raise ValueError(
                'PromptHead does not know the names of the classes: the config needs '
                'default_hooks.prompts = dict(type=PromptsHook)'
            )
        images = features.embeds[0]
        total = images.new_zeros(())
        if not self._counts:
            return dict(loss=total)
        head = features.model.head_that('embedding')
        logits = head.logits(images, self._prompt_embeds(features, batch.step))
        for label, part in zip(self._counts, logits.split(list(self._counts.values()), 1)):
            total = total + class_loss(part, batch.labels(label), self.label_smoothing, batch.mixed)
        return dict(loss=self.loss_weight * total)

    def _prompt_embeds(self, features: Features, step: int) -> torch.Tensor:
        """Embeddings of this step's prompts, float32 (P, D)."""
        prompts = self._prompts[step % len(self._prompts)]
        prompts = prompts.to(features.inputs['token_ids'].device, non_blocking=True)
        mask = prompts >= 0
        text = features.model.backbone.encode_text(prompts.clamp(min=0), mask)[-1]
        return features.model.head_that('embedding').text_embeds(mean_of_tokens(text, mask))
