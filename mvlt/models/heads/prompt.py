"""A picture's labels by their names: the words of a class are a caption of all that belong to it.

Not in the paper. The contrast of a picture with each of its fields, beside that with its caption,
is what GCL (Marqo) and FashionSAP's prompts do.

Legend: B pairs of this process, D size of a vector, P phrases: the classes of all labels.
"""

from collections.abc import Mapping, Sequence

import torch
from torch.nn.utils.rnn import pad_sequence

from mvlt.models.features import Features, mean_of_tokens
from mvlt.models.heads.base import Head
from mvlt.models.heads.parts import class_loss
from mvlt.registry import MODELS
from mvlt.structures import Batch


@MODELS.register_module()
class PromptHead(Head):
    """Pictures are to be closer to the name of their class than to those of the others.

    Names are read by the same tower as captions, and compared by the head that gives embeddings: so
    a colour or a kind alone finds, and classes can be told by their names. It has no weights.
    :class:`mvlt.engine.PromptsHook` hands it the names of the training data.

    Args:
        labels: of the samples; those that the training data do not know are left out.
        templates: caption_templates of a name, one a step in turn.
        label_smoothing: 0 to 1: so much of the target is spread over all classes.
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
                raise ValueError(f"PromptHead.templates: '{template}' has no place {{}} for a name")
        self.labels = tuple(labels)
        self.templates = tuple(templates)
        self.label_smoothing = label_smoothing
        self.loss_weight = loss_weight
        self._counts: dict[str, int] | None = None
        self._phrases: list[torch.Tensor] = []

    def know(self, token_ids: Mapping[str, Sequence[Sequence[torch.Tensor]]]) -> None:
        """Take the classes' names.

        Args:
            token_ids: label -> class -> template -> int64 (T,); the labels that are known.
        """
        self._counts = {label: len(classes) for label, classes in token_ids.items()}
        self._phrases = [
            pad_sequence(
                [one[number] for classes in token_ids.values() for one in classes],
                batch_first=True,
                padding_value=-1,
            )
            for number in range(len(self.templates) if token_ids else 0)
        ]

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Weighted sum of the labels' cross-entropies; -1 is not known, left out.

        Raises:
            ValueError: nobody has handed it the names.
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
        logits = head.logits(images, self._vectors(features, batch.step))
        for label, own in zip(self._counts, logits.split(list(self._counts.values()), 1)):
            total = total + class_loss(own, batch.labels(label), self.label_smoothing, batch.mixed)
        return dict(loss=self.loss_weight * total)

    def _vectors(self, features: Features, step: int) -> torch.Tensor:
        """Of this step's phrases, float32 (P, D)."""
        phrases = self._phrases[step % len(self._phrases)]
        phrases = phrases.to(features.inputs['token_ids'].device, non_blocking=True)
        mask = phrases >= 0
        text = features.model.backbone.encode_text(phrases.clamp(min=0), mask)[-1]
        return features.model.head_that('embedding').text_embeds(mean_of_tokens(text, mask))
