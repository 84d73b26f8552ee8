"""Adapters of ViLT and BLIP from transformers.

Weights come from a local folder saved by transformers, or are random. Nothing is downloaded.

Legend: B batch, N patches, T tokens, C channels, D size of an embedding.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import nn
from transformers import BlipForImageTextRetrieval, ViltForImageAndTextRetrieval

from mvlt.models import Features, HardITMHead, Head
from mvlt.models.encoders import PairFeatures
from mvlt.registry import MODELS
from mvlt.structures import Batch


class FromTransformers(BaseModule):
    """A model of transformers, from a folder or with random weights.

    Args:
        folder: written by ``save_pretrained``; None = random weights.
        settings: arguments of the configuration class; without ``folder`` only.
        vocab_size: rows of the token embeddings; without ``folder`` only.
    """

    model_class: Any
    strides = (16,)

    def __init__(
        self,
        folder: str | None = None,
        settings: Mapping[str, Any] | None = None,
        vocab_size: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.folder = folder
        self.model: Any = (
            self.model_class(self.config(dict(settings or {}), vocab_size))
            if folder is None
            else self.model_class.from_pretrained(folder, local_files_only=True)
        )

    def init_weights(self) -> None:
        """Nothing: transformers initialises its models."""

    def config(self, settings: dict[str, Any], vocab_size: int | None) -> Any:
        """Configuration of a model with random weights; most have a nested text config."""
        text = dict(settings.pop('text_config', {}), vocab_size=vocab_size)
        return self.model_class.config_class(text_config=text, **settings)

    @property
    def token_embedding(self) -> torch.Tensor:
        """Token embeddings (vocab_size, token_embed_dim)."""
        return self.model.get_input_embeddings().weight


@MODELS.register_module()
class ViltPairs(FromTransformers):
    """ViLT (Kim et al., 2021): a transformer over tokens and patches.

    Args:
        empty_caption: token ids of an empty caption, to encode an image alone.
        kwargs: see :class:`FromTransformers`.
    """

    model_class = ViltForImageAndTextRetrieval

    def __init__(self, empty_caption: tuple[int, ...] = (2, 3), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.empty_caption = tuple(empty_caption)

    def config(self, settings: dict[str, Any], vocab_size: int | None) -> Any:
        """Without a nested text config."""
        return self.model_class.config_class(vocab_size=vocab_size, **settings)

    @property
    def embed_dims(self) -> tuple[int]:
        """C."""
        return (self.model.config.hidden_size,)

    def encode_pair(
        self,
        image: torch.Tensor,
        token_ids: torch.Tensor,
        text_mask: torch.Tensor | None = None,
        cls_only: bool = False,
    ) -> PairFeatures:
        """One map (B, C, N, 1) of unordered patches, and tokens; [CLS] is the pooled output."""
        mask = torch.ones_like(token_ids) if text_mask is None else text_mask.long()
        output = self.model.vilt(input_ids=token_ids, attention_mask=mask, pixel_values=image)
        states = output.last_hidden_state
        tokens, patches = states[:, 1 : mask.shape[1]], states[:, mask.shape[1] + 1 :]
        text = torch.cat((output.pooler_output[:, None], tokens), 1)
        return PairFeatures((patches.transpose(1, 2)[..., None],), (text,))

    def encode_image(self, image: torch.Tensor) -> tuple[torch.Tensor]:
        """One map of an image with an empty caption."""
        caption = torch.tensor(self.empty_caption, device=image.device)
        return self.encode_pair(image, caption.expand(len(image), -1)).images


@MODELS.register_module()
class ViltRankHead(Head):
    """ViLT's rank output, one logit for each pair, trained by binary cross-entropy.

    Args:
        backbone: a :class:`ViltPairs`, which owns the weights.
    """

    reads = ('cls',)
    gives = 'match'
    takes = ('backbone',)

    def __init__(self, backbone: ViltPairs, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.owner = (backbone,)  # a tuple: the head does not register the weights

    def match(self, features: Features) -> torch.Tensor:
        """``itm_logits`` of each pair of the batch, float32 (B,)."""
        with torch.autocast(features.cls.device.type, enabled=False):  # bfloat16 makes many ties
            return self.owner[0].model.rank_output(features.cls.float())[:, 0]

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Binary cross-entropy of the label ``matched``, mean over the batch."""
        matched = batch.labels('matched').float()
        return dict(loss=F.binary_cross_entropy_with_logits(self.match(features), matched))

    def predict(self, features: Features, batch: Batch) -> dict[str, Any]:
        """``itm_score``, float (B,)."""
        return dict(itm_score=self.match(features).sigmoid().tolist())


@MODELS.register_module()
class BlipPairs(FromTransformers):
    """BLIP (Li et al., 2022): a dual encoder, and cross-attention to patches for matching."""

    model_class = BlipForImageTextRetrieval

    @property
    def embed_dims(self) -> tuple[int]:
        """D; the matching head reads the text encoder's states."""
        return (self.model.config.image_text_hidden_size,)

    def encode_pair(
        self,
        image: torch.Tensor,
        token_ids: torch.Tensor,
        text_mask: torch.Tensor | None = None,
        cls_only: bool = False,
    ) -> PairFeatures:
        """One map (B, C, N + 1, 1) and tokens (B, T, C)."""
        states = self.model.vision_model(pixel_values=image)[0]
        mask = torch.ones_like(token_ids) if text_mask is None else text_mask.long()
        tokens = self.model.text_encoder(
            input_ids=token_ids,
            attention_mask=mask,
            encoder_hidden_states=states,
            encoder_attention_mask=torch.ones(states.shape[:2], device=states.device),
            return_dict=True,
        )[0]
        return PairFeatures((states.transpose(1, 2)[..., None],), (tokens,))

    def encode_image(self, image: torch.Tensor) -> tuple[torch.Tensor]:
        """Projected [CLS] of an image, (B, D, 1, 1)."""
        states = self.model.vision_model(pixel_values=image)[0]
        return (self.model.vision_proj(states[:, 0])[..., None, None],)

    def encode_text(
        self, token_ids: torch.Tensor, text_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor]:
        """Projected [CLS] of a caption, repeated for every token, (B, T, D)."""
        mask = torch.ones_like(token_ids) if text_mask is None else text_mask.long()
        states = self.model.text_encoder(
            input_ids=token_ids, attention_mask=mask, return_dict=True
        )[0]
        projected = self.model.text_proj(states[:, 0])
        return (projected[:, None].expand(-1, token_ids.shape[1], -1),)


@MODELS.register_module()
class BlipITMHead(HardITMHead):
    """:class:`HardITMHead` with BLIP's two logits.

    Args:
        in_channels, kwargs: see :class:`HardITMHead`.
        backbone: a :class:`BlipPairs`, which owns the weights.
    """

    takes = ('in_channels', 'backbone')

    def __init__(self, in_channels: int, backbone: BlipPairs, **kwargs: Any) -> None:
        super().__init__(in_channels, hidden_dims=1, **kwargs)
        self.projection = self.classifier = nn.Identity()
        self.owner = (backbone,)

    def forward(self, *, cls: torch.Tensor) -> torch.Tensor:
        """(B, C) -> logits (B, 2)."""
        return self.owner[0].model.itm_head(cls)
