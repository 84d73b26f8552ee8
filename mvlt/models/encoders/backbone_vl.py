"""Joint layers on the stages of a pretrained image backbone: a dual encoder that also reads pairs.

Legend: B batch, N image tokens = H x W, T text tokens, C_i channels of a joint stage, D_i channels
of the image backbone's map, E channels of the text encoder.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mvlt.models.encoders.dual import DualEncoder
from mvlt.models.encoders.image_backbone import ImageBackbone
from mvlt.models.encoders.joint import PairFeatures, check_stages, init_weights
from mvlt.models.encoders.pvt_v2_vl import ConvEncoderLayer
from mvlt.models.layers import PooledAttention
from mvlt.registry import MODELS

_STRIDES = (4, 8, 16, 32)


class FusionStage(nn.Module):
    """Joint layers over a map of the image backbone and the tokens of the text encoder.

    Each stage reads both again, and adds the output of the stage before, the image at half its
    size. The first stage has no layers and no text.

    Args:
        map_dims, text_dims: D_i and E.
        in_dims: C of the stage before; None in the first stage.
        dims: C_i.
        layers: joint layers.
    """

    def __init__(
        self,
        map_dims: int,
        text_dims: int,
        in_dims: int | None,
        dims: int,
        layers: Sequence[nn.Module],
    ) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.GroupNorm(1, map_dims), nn.Conv2d(map_dims, dims, 1))
        self.text = nn.Linear(text_dims, dims)
        self.image_before, self.text_before = None, None
        if in_dims is not None:
            self.image_before = nn.Conv2d(in_dims, dims, 3, 2, padding=1)
            self.text_before = nn.Linear(in_dims, dims)
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(dims, eps=1e-6)

    def forward(
        self,
        side: torch.Tensor,
        tokens: torch.Tensor,
        text_mask: torch.Tensor | None,
        before: tuple[torch.Tensor, torch.Tensor] | None,
        cls_only: bool = False,
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Map (B, D_i, H, W) and tokens (B, T, E) -> (B, C_i, H, W) and (B, T, C_i).

        Args:
            side, tokens: of the image backbone and of the text encoder.
            text_mask: bool (B, T), or None.
            before: map and tokens of the stage before.
            cls_only: return no map and [CLS] alone, (B, 1, C_i).
        """
        image, text = self.image(side), self.text(tokens)
        if before is not None and self.image_before is not None and self.text_before is not None:
            image = image + self.image_before(before[0])
            text = text + self.text_before(before[1])
        size = (image.shape[2], image.shape[3])
        x = torch.cat((image.flatten(2).transpose(1, 2), text), dim=1)
        key_mask = None
        if text_mask is not None and len(self.layers):
            attention: Any = self.layers[0].attention
            of_image = text_mask.new_ones(len(text_mask), attention.image_keys(size))
            key_mask = torch.cat((of_image, text_mask), dim=1)[:, None, None]
        for layer in self.layers[: len(self.layers) - cls_only]:
            x = layer(x, size, key_mask)
        if cls_only:
            last: Any = self.layers[-1]
            return None, self.norm(last.cls(x, size, key_mask))
        image_BNC, text_BTC = self.norm(x).tensor_split((size[0] * size[1],), dim=1)
        return image_BNC.transpose(1, 2).unflatten(2, size), text_BTC


@MODELS.register_module()
class BackboneVL(DualEncoder):
    """A dual encoder with joint layers on the four stages of its image backbone.

    ``encode_image`` and ``encode_text`` are those of :class:`DualEncoder`, whose checkpoints it
    takes. ``encode_pair`` is the pyramid of MVLT: the backbone's maps (strides 4 to 32) are the
    visual side of the stages, the text encoder's tokens join from the second on. The joint layers
    do not change the maps, so a frozen backbone needs no backward pass, and its maps serve every
    caption of an image. [CLS] also gets the product of the two embeddings (as ViLBERT's alignment
    does), so matching starts from what the contrast has learnt. Not in the paper, whose stages
    start from PVT's ImageNet weights (Table 4).

    Args:
        image_encoder: an :class:`ImageBackbone` with maps of four stages, or its settings.
        text_encoder: see :class:`DualEncoder`.
        embed_dims: C_i of each stage; the last equals E.
        depths, num_heads: of the layers of stages 2 to 4.
        mlp_ratio: hidden size of an MLP in units of C_i.
        pool_size: side of the averaged map of keys (:class:`PooledAttention`).
        drop_path_rate, init_std: see :class:`PVTVL`.
        kwargs: standardise, vocab_size: of :class:`DualEncoder`.

    Raises:
        ValueError: the backbone has other strides; lists of wrong length; the last of
            ``embed_dims`` is not E.
    """

    strides = _STRIDES

    def __init__(
        self,
        image_encoder: nn.Module | dict,
        text_encoder: nn.Module | dict,
        embed_dims: Sequence[int] = (32, 64, 160, 256),
        depths: Sequence[int] = (1, 2, 2),
        num_heads: Sequence[int] = (2, 5, 8),
        mlp_ratio: float = 4,
        pool_size: int = 7,
        drop_path_rate: float = 0.0,
        init_std: float | None = None,
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        encoder: Any = (
            MODELS.build(image_encoder) if isinstance(image_encoder, dict) else image_encoder
        )
        if not isinstance(encoder, ImageBackbone) or encoder.pooled or encoder.strides != _STRIDES:
            raise ValueError(
                'BackboneVL.image_encoder: set an ImageBackbone with four stages (out_indices), '
                f'strides {_STRIDES} and pooled=False; this one has strides '
                f'{getattr(encoder, "strides", "unknown")}'
            )
        super().__init__(
            encoder, text_encoder, image_dims=encoder.vector_dims, init_cfg=init_cfg, **kwargs
        )
        check_stages(embed_dims=embed_dims, depths=(0, *depths), num_heads=(1, *num_heads))
        (text_dims,) = self.embed_dims
        if embed_dims[-1] != text_dims:
            raise ValueError(
                f'BackboneVL.embed_dims={tuple(embed_dims)}: the last must be the size of the text '
                f'encoder, {text_dims}'
            )
        rates = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
        self.stages = nn.ModuleList()
        for i, dims in enumerate(embed_dims):
            layers = [
                ConvEncoderLayer(
                    dims,
                    PooledAttention(dims, num_heads[i - 1], pool_size),
                    mlp_ratio,
                    next(rates),
                    relu=True,
                )
                for _ in range(depths[i - 1] if i else 0)
            ]
            before = embed_dims[i - 1] if i else None
            self.stages.append(FusionStage(encoder.embed_dims[i], text_dims, before, dims, layers))
        self.stages.apply(partial(init_weights, std=init_std))
        self.product = nn.Linear(text_dims, text_dims)
        self.embed_dims = tuple(embed_dims)  # type: ignore[assignment]

    def maps(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The backbone's maps (B, D_i, H / s_i, W / s_i), which no caption changes.

        ``encode_pair`` and ``encode_image`` take them in place of the image.

        Raises:
            ValueError: 32 does not divide the image.
        """
        if image.shape[2] % 32 or image.shape[3] % 32:
            raise ValueError(
                f'images of {image.shape[2]} x {image.shape[3]} pixels: 32 must divide both sides; '
                'correct the scale of Resize'
            )
        return self.image_encoder(image)

    def encode_image(self, image: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        """One map (B, E, 1, 1) of the image alone, from statistics of the maps."""
        if isinstance(image, torch.Tensor) and image.ndim == 4:
            image = self.maps(image)
        backbone: Any = self.image_encoder
        return super().encode_image(
            image if isinstance(image, torch.Tensor) else backbone.pool(image)
        )

    def encode_pair(
        self,
        image: torch.Tensor | tuple[torch.Tensor, ...],
        token_ids: torch.Tensor,
        text_mask: torch.Tensor | None = None,
        cls_only: bool = False,
    ) -> PairFeatures:
        """Encode image and caption together; see :class:`JointEncoder`.

        Args:
            image: float (B, 3, H, W), or the result of :meth:`maps`.
            token_ids, text_mask, cls_only: see :class:`JointEncoder`.
        """
        maps = self.maps(image) if isinstance(image, torch.Tensor) else image
        (tokens,) = self.encode_text(token_ids, text_mask)
        images, texts = [], []
        before: Any = None
        for i, (stage, side) in enumerate(zip(self.stages, maps)):
            last = cls_only and i == len(self.stages) - 1
            before = stage(side, tokens, text_mask, before, last)
            images += [] if last else [before[0]]
            texts.append(before[1])
        product = self._product(maps, tokens, text_mask)[:, None]
        texts[-1] = torch.cat((texts[-1][:, :1] + product, texts[-1][:, 1:]), dim=1)
        return PairFeatures(tuple(images), tuple(texts))

    def _product(
        self,
        maps: tuple[torch.Tensor, ...],
        tokens: torch.Tensor,
        text_mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """A layer over the product of the embeddings of image and text, (B, E)."""
        image = self.encode_image(maps)[-1].flatten(1)
        weights = torch.ones_like(tokens[..., :1]) if text_mask is None else text_mask[..., None]
        text = (tokens * weights).sum(1)
        both = F.normalize(image.float(), dim=-1) * F.normalize(text.float(), dim=-1)
        return self.product(both * both.shape[-1])
