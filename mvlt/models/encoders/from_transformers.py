"""Encoders of transformers: both sides of CLIP, SigLIP and SigLIP 2, and any text encoder.

Their settings are transformers' configuration as plain data: no path, no code. Nothing is
downloaded. transformers is imported when an encoder is built.

Legend: B batch, N patches, T tokens, C channels, D size of an embedding, P side of a patch.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule

from mvlt.registry import MODELS

# keys of a configuration that have no effect on an encoder, or name other files
_UNUSED = ('architectures', 'auto_map', 'dtype', 'torch_dtype', 'quantization_config')
_LABELS = ('id2label', 'label2id', 'problem_type', 'transformers_version')

# masked language models with a decoder, or of other inputs than text
_NOT_ENCODERS = {'bart', 'mbart', 'mvp', 'perceiver', 'wav2vec2', 'tapas', 'layoutlm', 'luke'}


class FromTransformers(BaseModule):
    """A model of transformers with random weights, or with those of a folder.

    Args:
        config: arguments of a configuration class, and its ``model_type``.
        folder: written by ``save_pretrained``; replaces ``config`` unless it is given, too. It is
            read once; a published model has ``config`` alone.
        changes: replace settings of ``config``; None changes nothing.

    Raises:
        FileNotFoundError, ValueError: no such folder; an unknown ``model_type``; custom code;
            weights that lack tensors.
    """

    part: ClassVar[str]  # of a model with two sides: 'text' or 'vision'
    classes: ClassVar[dict[str, str]]  # model type -> class of transformers

    def __init__(
        self,
        config: Mapping[str, Any] | None = None,
        folder: str | None = None,
        init_cfg: dict | None = None,
        **changes: Any,
    ) -> None:
        super().__init__(init_cfg)
        if config is None:
            if folder is None:
                raise ValueError(f'{type(self).__name__}: give config, or folder to read it from')
            config = self.config_of(folder)
        settings = {**plain_config(config), **{k: v for k, v in changes.items() if v is not None}}
        build = self._builder(settings.get('model_type'))
        self.model: Any = build(settings)
        if folder is not None:
            self._load(folder)

    @classmethod
    def config_of(cls, folder: str) -> dict[str, Any]:
        """``config`` of a folder's model, or of its side for text or images."""
        from transformers import AutoConfig

        read_config(folder)
        whole: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
        return cls.side_of(whole)

    @classmethod
    def side_of(cls, whole: Any) -> dict[str, Any]:
        """``config`` of a configuration of transformers, which may have two sides."""
        side = getattr(whole, f'{cls.part}_config', whole).to_dict()
        if whole.model_type == 'clip':  # a side may name another size, which CLIPModel ignores
            side['projection_dim'] = whole.projection_dim
        return trimmed(side)

    @classmethod
    def published_settings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings without ``folder``, for a model folder."""
        kept = {key: value for key, value in settings.items() if key != 'folder'}
        if settings.get('folder') and not settings.get('config'):
            kept['config'] = cls.config_of(settings['folder'])
        return kept

    def init_weights(self) -> None:
        """Nothing: transformers initialises its models."""

    def _builder(self, model_type: Any) -> Any:
        """(settings) -> model, from a model type."""
        import transformers

        name = self.classes.get(model_type)
        if name is None:
            raise ValueError(
                f"{type(self).__name__}: transformers' model_type '{model_type}'; legal: "
                f'{", ".join(self.classes)}'
            )
        kind = getattr(transformers, name)
        return lambda settings: kind(
            kind.config_class(**{k: v for k, v in settings.items() if k != 'model_type'})
        )

    def _load(self, folder: str) -> None:
        try:
            loaded, report = type(self.model).from_pretrained(
                folder, config=self.model.config, local_files_only=True, output_loading_info=True
            )
        except OSError as error:
            raise FileNotFoundError(f'{folder}: no weights of transformers ({error})') from error
        missing = sorted(key for key in report['missing_keys'] if not key.startswith('pooler.'))
        if missing:
            raise ValueError(
                f'{folder}: its weights lack {missing[0]} and {len(missing) - 1} more of '
                f'{type(self.model).__name__}: fetch the folder again'
            )
        self.model.load_state_dict(loaded.float().state_dict(), strict=False)


@MODELS.register_module()
class TransformersImageEncoder(FromTransformers):
    """Image encoder of CLIP, SigLIP or SigLIP 2: float (B, 3, H, W) -> embeddings (B, D).

    Args: see :class:`FromTransformers`.
    """

    part = 'vision'
    classes: ClassVar = dict(
        clip_vision_model='CLIPVisionModelWithProjection',
        siglip_vision_model='SiglipVisionModel',
        siglip2_vision_model='Siglip2VisionModel',
    )

    @property
    def embed_dims(self) -> int:
        """D."""
        return _embed_dims(self.model)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, D)."""
        if self.model.config.model_type == 'siglip2_vision_model':
            return self._of_patches(image)
        output = self.model(pixel_values=image)
        return output.image_embeds if 'image_embeds' in output else output.pooler_output

    def _of_patches(self, image: torch.Tensor) -> torch.Tensor:
        """SigLIP 2: all images of a batch have one shape, so no patch is padding.

        transformers resizes the table of positions for each image, which cannot be exported.
        """
        network = self.model.vision_model
        layer, side = network.embeddings, network.embeddings.patch_size
        height, width = (length // side for length in image.shape[2:])
        x_BN = image.unflatten(3, (width, side)).unflatten(2, (height, side))
        x_BNP = x_BN.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)
        grid = layer.position_embedding_size
        positions_NC = layer.position_embedding.weight
        if (height, width) != (grid, grid):
            table = positions_NC.T.unflatten(1, (grid, grid))[None]
            table = F.interpolate(table, (height, width), mode='bilinear', antialias=True)
            positions_NC = table[0].flatten(1).T
        x_BNC = layer.patch_embedding(x_BNP) + positions_NC
        states = network.encoder(inputs_embeds=x_BNC).last_hidden_state
        return network.head(network.post_layernorm(states))


@MODELS.register_module()
class TransformersTextEncoder(FromTransformers):
    """A text encoder: embeddings (B, D) of CLIP and its kin, tokens (B, T, C) of any other.

    CLIP reads its first end token and nothing after it, so padding needs no mask. SigLIP reads its
    last position: pad its captions to one length, and attend to the padding
    (``data_preprocessor.context_length``, ``attend_pad``).

    Args:
        vocab_size: replaces that of the configuration.
        kwargs: see :class:`FromTransformers`.
    """

    part = 'text'
    classes: ClassVar = dict(
        clip_text_model='CLIPTextModelWithProjection',
        siglip_text_model='SiglipTextModel',
        siglip2_text_model='Siglip2TextModel',
    )

    def __init__(self, vocab_size: int | None = None, **kwargs: Any) -> None:
        super().__init__(vocab_size=vocab_size, **kwargs)
        if not self._embeds and getattr(self.model, 'pooler', None) is not None:
            self.model.pooler = None  # unused, so it would have no gradient

    def _builder(self, model_type: Any) -> Any:
        if model_type in self.classes:
            return super()._builder(model_type)
        from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding
        from transformers.models.auto import modeling_auto

        encoders = modeling_auto.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES
        legal = {*encoders, *modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES} - _NOT_ENCODERS
        if model_type not in legal:
            raise ValueError(
                f"{type(self).__name__}: transformers' model_type '{model_type}' is no text "
                f'encoder; legal: {", ".join(sorted({*legal, *self.classes}))}'
            )
        auto = AutoModelForTextEncoding if model_type in encoders else AutoModel
        return lambda settings: auto.from_config(
            AutoConfig.for_model(**settings), trust_remote_code=False
        )

    @property
    def _embeds(self) -> bool:
        return self.model.config.model_type in self.classes

    @property
    def embed_dims(self) -> int:
        """D or C."""
        return _embed_dims(self.model)

    @property
    def token_embedding(self) -> torch.Tensor:
        """Token embeddings (vocab_size, token dims)."""
        return self.model.get_input_embeddings().weight

    @property
    def context_length(self) -> int | None:
        """The longest text in tokens; None = without a limit."""
        config = self.model.config
        longest = getattr(config, 'max_position_embeddings', None)
        # RoBERTa and its kin number positions after the id of [PAD]
        offset = getattr(getattr(self.model, 'embeddings', None), 'padding_idx', None)
        return longest if longest is None or offset is None else longest - offset - 1

    def forward(self, token_ids: torch.Tensor, text_mask: torch.Tensor | None) -> torch.Tensor:
        """Int64 (B, T), mask bool (B, T), True = a token, None = all -> (B, D) or (B, T, C)."""
        if self.model.config.model_type == 'clip_text_model':
            return self.model(input_ids=token_ids).text_embeds
        mask = None if text_mask is None else text_mask.long()
        output = self.model(input_ids=token_ids, attention_mask=mask)
        return output.pooler_output if self._embeds else output.last_hidden_state


def _embed_dims(model: Any) -> int:
    config = model.config
    if 'WithProjection' in type(model).__name__:
        return config.projection_dim
    return getattr(config, 'projection_size', config.hidden_size)


def read_config(folder: str) -> dict[str, Any]:
    """``config.json`` of a folder of transformers.

    Raises:
        FileNotFoundError, ValueError: no such file; not a configuration; custom code.
    """
    path = Path(folder, 'config.json')
    try:
        config = json.loads(path.read_text('utf-8'))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path}: no such file; name a folder of transformers' save_pretrained"
        ) from error
    except ValueError as error:
        raise ValueError(f'{path}: not JSON ({error}); fetch the folder again') from error
    if not isinstance(config, dict) or 'model_type' not in config:
        raise ValueError(f"{path}: no model_type; name a folder of transformers' save_pretrained")
    if 'auto_map' in config:
        raise ValueError(
            f'{path}: it needs custom code (auto_map), which mvlt never runs; take a model of '
            'transformers itself'
        )
    return config


def trimmed(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without what all models have and none needs: labels, generation, names."""
    from transformers import PretrainedConfig

    common = PretrainedConfig().to_dict()
    return {
        key: value
        for key, value in config.items()
        if key not in (*_UNUSED, *_LABELS)
        and not key.startswith('_')
        and (key not in common or common[key] != value or key.endswith('_token_id'))
    }


def plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config's settings as plain dicts, trimmed; ValueError for custom code."""
    if 'auto_map' in config:
        raise ValueError('config.auto_map: custom code, which mvlt never runs; remove it')
    plain: Any = config.to_dict() if hasattr(config, 'to_dict') else dict(config)
    return trimmed(plain)
