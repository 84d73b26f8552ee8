"""Joint encoders, which read image and text together, and the interface of all encoders.

Legend: B batch, N image tokens = H x W, T text tokens, C channels.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModule
from torch import nn

from mvlt.models.layers import EncoderLayer, TextEmbedding, TokenEmbedding


class PairFeatures(NamedTuple):
    """Outputs of an encoder's stages, the first stage first.

    images: maps (B, C_i, H / s_i, W / s_i), s_i the backbone's ``strides``.
    texts: sequences (B, T, C_i); position 0 is [CLS].
    """

    images: tuple[torch.Tensor, ...]
    texts: tuple[torch.Tensor, ...]


class EncoderStage(nn.Module):
    """Embeds both modalities (Eq. 1, 2), encodes them as one sequence and splits it.

    Args:
        patches: image map -> tokens (B, N, C) and their grid (H, W).
        text: sequence of the stage before -> (B, T, C).
        layers: of one class, at least one.
        norm: after the last layer; None = no norm, as in PVT.
    """

    def __init__(
        self,
        patches: nn.Module,
        text: TextEmbedding,
        layers: Sequence[EncoderLayer],
        norm: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.patches = patches
        self.text = text
        self.layers = nn.ModuleList(layers)
        self.norm = norm or nn.Identity()

    def forward(
        self,
        image: torch.Tensor | None,
        text: torch.Tensor | None,
        text_mask: torch.Tensor | None,
        side: torch.Tensor | None = None,
    ) -> tuple[Any, Any]:
        """Image map (B, C, H, W) and text (B, T, C); None stays None.

        ``side`` is a further map that ``patches`` reads.
        """
        x, size, key_mask = self._embed(image, text, text_mask, side)
        for layer in self.layers:
            x = layer(x, size, key_mask)
        image_BNC, text_BTC = self.norm(x).tensor_split((size[0] * size[1],), dim=1)
        return (
            None if image is None else image_BNC.transpose(1, 2).unflatten(2, size),
            None if text is None else text_BTC,
        )

    def cls(
        self,
        image: torch.Tensor,
        text: torch.Tensor,
        text_mask: torch.Tensor | None,
        side: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """[CLS] alone, (B, 1, C); the last layer computes no other token."""
        x, size, key_mask = self._embed(image, text, text_mask, side)
        last: Any = self.layers[-1]
        for layer in self.layers[:-1]:
            x = layer(x, size, key_mask)
        return self.norm(last.cls(x, size, key_mask))

    def _embed(
        self,
        image: torch.Tensor | None,
        text: torch.Tensor | None,
        text_mask: torch.Tensor | None,
        side: torch.Tensor | None,
    ) -> tuple[torch.Tensor, tuple[int, int], torch.Tensor | None]:
        """The sequence (B, N + T, C), the grid of the image, and the mask of keys."""
        tokens, size = [], (0, 0)
        if image is not None:
            image_BNC, size = self.patches(image) if side is None else self.patches(image, side)
            tokens.append(image_BNC)
        if text is not None:
            tokens.append(self.text(text))
        return torch.cat(tokens, dim=1), size, self._key_mask(size, text_mask)

    def _key_mask(
        self, size: tuple[int, int], text_mask: torch.Tensor | None
    ) -> torch.Tensor | None:
        if text_mask is None:
            return None
        attention: Any = self.layers[0].attention
        image_mask = text_mask.new_ones(text_mask.shape[0], attention.image_keys(size))
        return torch.cat((image_mask, text_mask), dim=1)[:, None, None]


class JointEncoder(BaseModule):
    """Image and text in the same ``stages``, which a subclass builds.

    Every encoder has ``encode_image``, ``encode_text``, ``embed_dims`` (channels of each stage) and
    ``token_embedding``; a joint encoder also has ``encode_pair``, with the same weights.

    Args:
        image_size: side of the square image in pixels; 32 must divide it.
        context_length: the longest caption in tokens, [CLS] and [SEP] included (L of the paper).
        vocab_size: rows of the token embeddings.
        token_embed_dim: size of a token embedding.
        token_dropout: dropout on token embeddings, 0 to 1.
        embed_dims: C_i, hidden size of each stage.

    Raises:
        ValueError: 32 does not divide ``image_size``.
    """

    stages: nn.ModuleList
    strides: tuple[int, ...]  # image pixels along a cell of each map

    def __init__(
        self,
        image_size: int,
        context_length: int,
        vocab_size: int,
        token_embed_dim: int,
        token_dropout: float,
        embed_dims: Sequence[int],
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if image_size % 32 or image_size <= 0:
            raise ValueError(
                f'backbone.image_size={image_size}: the stages reduce the image to 1/32, so 32 '
                f'must divide the side; near it are {image_size // 32 * 32 or 32} and '
                f'{image_size // 32 * 32 + 32}'
            )
        self.embed_dims = tuple(embed_dims)
        self.image_size = image_size
        self.context_length = context_length
        self.vocab_size = vocab_size
        self.words = TokenEmbedding(
            vocab_size, token_embed_dim, max(512, context_length), token_dropout
        )

    @property
    def token_embedding(self) -> torch.Tensor:
        """Token embeddings (vocab_size, token_embed_dim)."""
        return self.words.words.weight

    def maps(self, image: torch.Tensor) -> tuple[torch.Tensor, ...] | torch.Tensor:
        """What the encoder computes of an image whatever its caption; the image itself.

        ``encode_pair`` and ``encode_image`` take the result in the place of the image.
        """
        self._check_image(image)
        return image

    def encode_pair(
        self,
        image: torch.Tensor | tuple[torch.Tensor, ...],
        token_ids: torch.Tensor,
        text_mask: torch.Tensor | None = None,
        cls_only: bool = False,
    ) -> PairFeatures:
        """Encode image and caption together.

        Args:
            image: float (B, 3, H, W), H and W multiples of 32; or the result of :meth:`maps`.
            token_ids: int64 (B, T), T at most ``context_length``.
            text_mask: bool (B, T), True = a real token; None = attend to every token.
            cls_only: compute [CLS] alone in the last stage, text (B, 1, C), and no map; matching
                and recognition read nothing else.

        Raises:
            ValueError: a caption is longer than ``context_length``, or 32 does not divide the
                image.
        """
        x, sides = self._sides(image)
        text = self._embed_tokens(token_ids)
        images, texts = [], []
        whole = len(self.stages) - cls_only
        for stage, side in zip(self.stages[:whole], sides):
            x, text = stage(x, text, text_mask, side)
            images.append(x)
            texts.append(text)
        if cls_only:
            last: Any = self.stages[-1]
            texts.append(last.cls(x, text, text_mask, sides[-1]))
        return PairFeatures(tuple(images), tuple(texts))

    def encode_image(
        self, image: torch.Tensor | tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...]:
        """Maps (B, C_i, H / s_i, W / s_i) of an image without a caption."""
        x, sides = self._sides(image)
        images = []
        for stage, side in zip(self.stages, sides):
            x, _ = stage(x, None, None, side)
            images.append(x)
        return tuple(images)

    def _sides(self, image: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[Any, Sequence[Any]]:
        """The input of the first stage, and the further map that each stage reads."""
        maps = self.maps(image) if isinstance(image, torch.Tensor) else image
        if isinstance(maps, torch.Tensor):
            return maps, [None] * len(self.stages)
        return maps[0], maps

    def encode_text(
        self, token_ids: torch.Tensor, text_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Sequences (B, T, C_i) of a caption without an image; args as of :meth:`encode_pair`."""
        text = self._embed_tokens(token_ids)
        texts = []
        for stage in self.stages:
            _, text = stage(None, text, text_mask)
            texts.append(text)
        return tuple(texts)

    def _check_image(self, image: torch.Tensor) -> None:
        if image.shape[2] % 32 or image.shape[3] % 32:
            raise ValueError(
                f'images of {image.shape[2]} x {image.shape[3]} pixels: 32 must divide both sides; '
                'correct the scale of Resize'
            )

    def _embed_tokens(self, token_ids: torch.Tensor) -> torch.Tensor:
        check_length(token_ids, self.context_length, 'context_length')
        return self.words(token_ids)


def check_length(token_ids: torch.Tensor, longest: int, key: str) -> None:
    """Raise ValueError for texts (B, T) longer than the setting ``backbone.<key>``."""
    if token_ids.shape[1] > longest:
        raise ValueError(
            f'captions of {token_ids.shape[1]} tokens, but backbone.{key}={longest}: lower '
            f'max_length of Tokenize or raise {key}'
        )


def check_stages(**values: Sequence[float]) -> None:
    """Raise ValueError unless each list has one value for each of four stages."""
    for name, listed in values.items():
        if len(listed) != 4:
            raise ValueError(f'backbone.{name} needs one value for each of 4 stages, got {listed}')


def init_weights(module: nn.Module, std: float | None) -> None:
    """Truncated normal for linear layers and embeddings, He for convolutions.

    ``std`` is of linear layers; None = 1 / sqrt(inputs).
    """
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=std or module.in_features**-0.5)
    elif isinstance(module, nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels / module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
        nn.init.zeros_(module.bias)
