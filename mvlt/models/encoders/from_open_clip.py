"""Both sides of a model of open_clip: its own and timm's image encoders, its text transformer.

Their settings are open_clip's configuration as plain data: no path, no code. Nothing is
downloaded. open_clip (extra ``open_clip``) is imported when an encoder is built.

Legend: B batch, T tokens, D size of an embedding.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import BaseModule

from mvlt.datasets.tokenizer import open_clip_package
from mvlt.registry import MODELS

# the smallest other side: open_clip builds both
_IMAGES = dict(layers=0, width=1, head_width=1, image_size=1, patch_size=1)
_TEXTS = dict(layers=1, width=1, heads=1, vocab_size=1, context_length=1)


class _FromOpenCLIP(BaseModule):
    """A side of open_clip's model, with random weights.

    Args:
        embed_dims: D.
        config: of the side: ``vision_cfg`` or ``text_cfg`` of ``open_clip_config.json``.
        quick_gelu: the activation of OpenAI's models.
    """

    def __init__(
        self,
        embed_dims: int,
        config: Mapping[str, Any],
        quick_gelu: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.config: dict[str, Any] = (
            config.to_dict() if hasattr(config, 'to_dict') else dict(config)
        )
        self.check(self.config)
        vision, text = self.sides()
        both = open_clip_package().CustomTextCLIP(embed_dims, vision, text, quick_gelu)
        self.model: Any = self.side(both)

    def init_weights(self) -> None:
        """Nothing: open_clip initialises its models."""

    @staticmethod
    @abstractmethod
    def check(config: Mapping[str, Any]) -> None:
        """ValueError for settings that read files or the network."""

    @abstractmethod
    def sides(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Settings of the image and of the text side."""

    @abstractmethod
    def side(self, both: Any) -> Any:
        """The side of a whole model."""


@MODELS.register_module()
class OpenCLIPImageEncoder(_FromOpenCLIP):
    """Image encoder of an open_clip model: float (B, 3, H, W) -> embeddings (B, D).

    Args: see :class:`_FromOpenCLIP`.

    Raises:
        ValueError: a timm model of a hub or of a path.
    """

    @staticmethod
    def check(config: Mapping[str, Any]) -> None:
        """See the class."""
        name = config.get('timm_model_name') or ''
        if ':' in name or '/' in name:
            raise ValueError(
                f"vision_cfg.timm_model_name='{name}': timm would read other files; give the name "
                'of an architecture'
            )

    def sides(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The image side with random weights, and the smallest text side."""
        return dict(self.config, timm_model_pretrained=False), _TEXTS

    def side(self, both: Any) -> Any:
        """Of images."""
        return both.visual

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, D)."""
        return self.model(image)


@MODELS.register_module()
class OpenCLIPTextEncoder(_FromOpenCLIP):
    """Text encoder of an open_clip model: int64 (B, T) -> embeddings (B, D).

    T is ``context_length``, with padding, which open_clip does not mask
    (``data_preprocessor.context_length``, ``attend_pad``).

    Args: see :class:`_FromOpenCLIP`.

    Raises:
        ValueError: a text encoder of transformers inside of open_clip.
    """

    @staticmethod
    def check(config: Mapping[str, Any]) -> None:
        """See the class."""
        if config.get('hf_model_name'):
            raise ValueError(
                f"text_cfg.hf_model_name='{config['hf_model_name']}': open_clip reads its "
                'configuration from the hub, which mvlt never does; take a model with '
                "open_clip's own text transformer"
            )

    def sides(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The smallest image side, and the text side."""
        return _IMAGES, self.config

    def side(self, both: Any) -> Any:
        """Of texts."""
        return both.text

    @property
    def token_embedding(self) -> torch.Tensor:
        """Token embeddings (vocab_size, token dims)."""
        return self.model.token_embedding.weight

    @property
    def context_length(self) -> int:
        """T."""
        return self.model.context_length

    def forward(self, token_ids: torch.Tensor, text_mask: torch.Tensor | None) -> torch.Tensor:
        """(B, D)."""
        return self.model(token_ids)
