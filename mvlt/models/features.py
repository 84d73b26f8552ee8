"""What heads may ask a model for: each is computed once, when it is first asked for.

Legend: B batch, T text tokens, C channels of the last stage, H, W image sides.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch

from mvlt.models.backbones import PairFeatures


class Features:
    """A task runs only what its heads read.

    Args:
        model: has ``backbone``, ``neck`` and ``word_table``.
        inputs: what :class:`PairDataPreprocessor` returns under ``inputs``.
        cls_only: nobody will ask for more of ``pair`` than ``cls``.
    """

    def __init__(self, model: Any, inputs: dict[str, Any], cls_only: bool = False) -> None:
        self.model = model
        self.inputs = inputs
        self.cls_only = cls_only

    @cached_property
    def pair(self) -> PairFeatures:
        """Image and caption encoded together: maps and sequences of all stages."""
        inputs = self.inputs
        return self.model.backbone(
            inputs['image'], inputs['token_ids'], inputs['text_mask'], self.cls_only
        )

    @property
    def cls(self) -> torch.Tensor:
        """[CLS] of the last stage of ``pair``, (B, C)."""
        return self.pair.texts[-1][:, 0]

    @cached_property
    def image(self) -> tuple[torch.Tensor, ...]:
        """Maps of all stages of the picture alone."""
        return self.model.backbone.encode_image(self.inputs['image'])

    @cached_property
    def text(self) -> tuple[torch.Tensor, ...]:
        """Sequences of all stages of the caption alone."""
        return self.model.backbone.encode_text(self.inputs['token_ids'], self.inputs['text_mask'])

    @cached_property
    def decoded(self) -> torch.Tensor:
        """The neck's map of ``pair``."""
        return self.model.neck(self.pair.images)

    def pairs(self, image_rows: Sequence[int], text_rows: Sequence[int]) -> PairFeatures:
        """Pictures and captions of this batch in other pairs, encoded together at each call.

        Args:
            image_rows, text_rows: rows of the batch, as many of both.
        """
        mask = self.inputs['text_mask']
        images, texts = (
            torch.as_tensor(rows, device=self.inputs['image'].device)
            for rows in (image_rows, text_rows)
        )
        return self.model.backbone(
            self.inputs['image'][images],
            self.inputs['token_ids'][texts],
            None if mask is None else mask[texts],
        )

    @property
    def word_table(self) -> torch.Tensor:
        """Word vectors (vocabulary, word_dims) of the backbone."""
        return self.model.word_table
