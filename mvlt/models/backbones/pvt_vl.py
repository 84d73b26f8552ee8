"""PVT-VL: the pyramid transformer that reads image patches and words together (paper Sec. 3.1).

Legend: B batch, N image tokens = H x W, T text tokens, C channels.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from mmengine.model import BaseModule
from torch import nn

from mvlt.models.layers import EncoderLayer, PatchEmbedding, TextEmbedding, WordEmbedding
from mvlt.registry import MODELS

# Layers per stage: Table 1 of the paper is `tiny`; the others are PVT's own (its Table 1).
DEPTHS = {
    'tiny': (2, 2, 2, 2),
    'small': (3, 4, 6, 3),
    'medium': (3, 4, 18, 3),
    'large': (3, 8, 27, 3),
}


class PairFeatures(NamedTuple):
    """What a backbone returns, stage 1 first.

    images: four maps (B, C_i, H / 2^(i+1), W / 2^(i+1)), i = 1..4 (1/4 to 1/32 of the image).
    texts: four sequences (B, T, C_i); position 0 is [CLS].
    """

    images: tuple[torch.Tensor, ...]
    texts: tuple[torch.Tensor, ...]


class EncoderStage(nn.Module):
    """Embed both modalities (Eq. 1, 2), encode them as one sequence, take them apart again."""

    def __init__(
        self,
        patches: PatchEmbedding,
        text: TextEmbedding,
        layers: Sequence[EncoderLayer],
    ) -> None:
        super().__init__()
        self.patches = patches
        self.text = text
        self.layers = nn.ModuleList(layers)
        self.reduction = layers[0].attention.reduction

    def forward(
        self, image: torch.Tensor, text: torch.Tensor, text_mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        image_BNC, size = self.patches(image)
        text_BTC = self.text(text)
        key_mask = self._key_mask(size, text_mask)
        x = torch.cat((image_BNC, text_BTC), dim=1)
        for layer in self.layers:
            x = layer(x, size, key_mask)
        image_BNC, text_BTC = x.split((image_BNC.shape[1], text_BTC.shape[1]), dim=1)
        return image_BNC.transpose(1, 2).unflatten(2, size), text_BTC

    def _key_mask(
        self, size: tuple[int, int], text_mask: torch.Tensor | None
    ) -> torch.Tensor | None:
        if text_mask is None:
            return None
        image_keys = (size[0] // self.reduction) * (size[1] // self.reduction)
        seen = text_mask.new_ones(len(text_mask), image_keys)
        return torch.cat((seen, text_mask), dim=1)[:, None, None]


@MODELS.register_module()
class PVTVL(BaseModule):
    """Four-stage pyramid transformer over image patches and caption tokens.

    Sizes are Table 1 of the paper: hidden sizes 64, 128, 320, 512, patch sizes 4, 2, 2, 2, so the
    image maps have 1/4, 1/8, 1/16 and 1/32 of the image's side; heads, MLP ratios and reductions
    are PVT's.

    Args:
        arch: 'tiny' (the paper's), 'small', 'medium' or 'large'; sets ``depths``.
        image_size: side of the square image in pixels; 32 must divide it.
        text_len: the longest caption in tokens, [CLS] and [SEP] included (L of the paper).
        vocab_size: rows of the word table.
        embed_dims: C_i, hidden size of each stage.
        depths: layers of each stage; overrides ``arch``.
        num_heads, mlp_ratios, reductions: per stage.
        word_dims: size of a word vector.
        word_dropout: dropout on word vectors, 0 to 1.
        drop_path_rate: stochastic depth of the last layer, 0 to 1, growing linearly from 0.
        init_std: of linear layers at random start. 0.02 is PVT's and BERT's, made for their widths;
            None takes 1 / sqrt(inputs), with which narrow models learn much sooner.
        init_cfg: mmengine's; ``dict(type='Pretrained', checkpoint=...)`` loads converted weights.

    Raises:
        ValueError: an unknown ``arch``, a side that 32 does not divide, lists of unequal length.
    """

    PATCH_SIZES = (4, 2, 2, 2)

    def __init__(
        self,
        arch: str = 'tiny',
        image_size: int = 256,
        text_len: int = 128,
        vocab_size: int = 30522,
        embed_dims: Sequence[int] = (64, 128, 320, 512),
        depths: Sequence[int] | None = None,
        num_heads: Sequence[int] = (1, 2, 5, 8),
        mlp_ratios: Sequence[float] = (8, 8, 4, 4),
        reductions: Sequence[int] = (8, 4, 2, 1),
        word_dims: int = 768,
        word_dropout: float = 0.1,
        drop_path_rate: float = 0.1,
        init_std: float | None = 0.02,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if arch not in DEPTHS:
            raise ValueError(f"backbone.arch='{arch}' is unknown; legal: {', '.join(DEPTHS)}")
        if image_size % 32 or image_size <= 0:
            raise ValueError(
                f'backbone.image_size={image_size}: the four stages halve the image down to 1/32, '
                f'so 32 must divide the side; near it are {image_size // 32 * 32 or 32} and '
                f'{image_size // 32 * 32 + 32}'
            )
        depths = tuple(depths or DEPTHS[arch])
        for name, values in dict(
            embed_dims=embed_dims,
            depths=depths,
            num_heads=num_heads,
            mlp_ratios=mlp_ratios,
            reductions=reductions,
        ).items():
            if len(values) != 4:
                raise ValueError(
                    f'backbone.{name} needs one value for each of 4 stages, got {values}'
                )
        self.embed_dims = tuple(embed_dims)
        self.image_size = image_size
        self.text_len = text_len
        self.vocab_size = vocab_size
        self.words = WordEmbedding(vocab_size, word_dims, max(512, text_len), word_dropout)
        drop_paths = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
        self.stages = nn.ModuleList()
        image_dims, text_dims, side = 3, word_dims, image_size
        for i, dims in enumerate(self.embed_dims):
            side //= self.PATCH_SIZES[i]
            self.stages.append(
                EncoderStage(
                    PatchEmbedding(image_dims, dims, self.PATCH_SIZES[i], (side, side)),
                    TextEmbedding(text_dims, dims, text_len),
                    [
                        EncoderLayer(
                            dims, num_heads[i], mlp_ratios[i], reductions[i], next(drop_paths)
                        )
                        for _ in range(depths[i])
                    ],
                )
            )
            image_dims = text_dims = dims
        self.apply(partial(_init, std=init_std))

    def forward(
        self,
        image: torch.Tensor,
        token_ids: torch.Tensor,
        text_mask: torch.Tensor | None = None,
    ) -> PairFeatures:
        """Encode image and caption together.

        Args:
            image: float (B, 3, H, W), H and W multiples of 32.
            token_ids: int64 (B, T), T at most ``text_len``.
            text_mask: bool (B, T), True = a real token; None = every token is attended to.

        Raises:
            ValueError: a caption is longer than ``text_len``, or 32 does not divide the image.
        """
        if token_ids.shape[1] > self.text_len:
            raise ValueError(
                f'captions of {token_ids.shape[1]} tokens, but backbone.text_len={self.text_len}: '
                'lower max_len of Tokenize or raise text_len'
            )
        if image.shape[2] % 32 or image.shape[3] % 32:
            raise ValueError(
                f'images of {image.shape[2]} x {image.shape[3]} pixels: 32 must divide both sides; '
                'mend the scale of Resize'
            )
        text = self.words(token_ids)
        images, texts = [], []
        for stage in self.stages:
            image, text = stage(image, text, text_mask)
            images.append(image)
            texts.append(text)
        return PairFeatures(tuple(images), tuple(texts))


def _init(module: nn.Module, std: float | None) -> None:
    """Truncated normal for linear layers and tables, He for patch and reduction convolutions."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=std or module.in_features**-0.5)
    elif isinstance(module, nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode='fan_out')
    if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
        nn.init.zeros_(module.bias)
