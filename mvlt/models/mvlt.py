"""The Masked Vision-Language Transformer: backbone, image decoder and heads."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import nn

from mvlt.models.encoders import PairFeatures
from mvlt.models.features import Features
from mvlt.models.heads.base import Head
from mvlt.registry import MODELS
from mvlt.structures import Batch, PairDataSample


@MODELS.register_module()
class MVLT(BaseModel):
    """The model of paper Fig. 3, with the heads that the config names.

    Args:
        backbone: an encoder, joint (:class:`mvlt.models.encoders.JointEncoder`) or dual
            (:class:`mvlt.models.DualEncoder`).
        neck: maps of all stages -> one map, ``features.decoded``.
        heads: name -> :class:`mvlt.models.Head` or None; the objectives of Sec. 3.2 are ``itm``,
            ``mlm`` and ``mir``. A head with the setting ``interval`` learns in one of so many
            steps: pairs cost several times as much as separate encoding. With several processes
            an interval needs ``find_unused_parameters=True``.
        data_preprocessor: stacks, normalises, masks, pads.
        grad_cache_chunk_size: images, and captions, that a dual encoder encodes at a time in
            training; each is encoded again for its gradients, so memory does not limit the
            contrastive batch. Heads that read pairs keep the whole batch. None = all at once.

    Raises:
        ValueError: ``neck`` without a head that reads its map, or the reverse; a neck that cannot
            use the encoder's maps; a head that reads pairs on a dual encoder.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict | None = None,
        heads: Mapping[str, dict | None] | None = None,
        data_preprocessor: dict | None = None,
        grad_cache_chunk_size: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.grad_cache_chunk_size = grad_cache_chunk_size
        settings = {name: dict(head) for name, head in (heads or {}).items() if head is not None}
        self.intervals = {name: head.pop('interval', 1) for name, head in settings.items()}
        classes: dict[str, type[Head]] = {name: _class_of(head) for name, head in settings.items()}
        decoding = any('decoded' in head.reads for head in classes.values())
        if (neck is None) == decoding:
            raise ValueError(
                'model.neck and the heads that read its map (mir) need each other: set both, or '
                f'both to None; heads: {", ".join(settings) or "none"}'
            )
        self.backbone = MODELS.build(backbone)
        dims = self.backbone.embed_dims
        sizes: dict[str, Any] = dict(in_channels=dims[-1], backbone=self.backbone)
        sizes['vocab_size'], sizes['token_embed_dim'] = self.token_embedding.shape
        self.neck: Any = None
        if neck is not None:
            self.neck = MODELS.build(dict(neck, in_channels=dims, in_strides=self.backbone.strides))
            sizes.update(decoded_channels=self.neck.out_channels, stride=self.neck.stride)
        self.heads: Any = nn.ModuleDict()
        for name, head in settings.items():
            given = dict(sizes, name=name, label=name)
            taken = {key: given[key] for key in classes[name].takes}
            self.heads[name] = MODELS.build({**taken, **head})
            self._check_reads(name)

    def _check_reads(self, name: str) -> None:
        reads = {*self.heads[name].reads} & {'cls', 'pair', 'decoded'}
        if reads and not self.is_joint:
            raise ValueError(
                f'a dual-encoder model cannot read image and text together, which '
                f'model.heads.{name} does: leave the head out, or take a joint encoder as '
                'model.backbone (PVTVL, PVTV2VL, ViTVL)'
            )

    @property
    def is_joint(self) -> bool:
        """Whether the encoder reads image and text together."""
        return hasattr(self.backbone, 'encode_pair')

    @property
    def token_embedding(self) -> torch.Tensor:
        """Token embeddings (vocab_size, token_embed_dim) of the encoder."""
        return self.backbone.token_embedding

    def head(self, name: str) -> Any:
        """The head of that name; ValueError if there is none."""
        if name not in self.heads:
            raise ValueError(
                f'this needs model.heads.{name}, which the config does not build; heads: '
                f'{", ".join(self.heads) or "none"}'
            )
        return self.heads[name]

    def gives(self, output: str) -> bool:
        """Whether a head gives an output of :class:`mvlt.models.Head`, e.g. 'pixels'."""
        return any(head.gives == output for head in self.heads.values())

    def head_that(self, gives: str) -> Any:
        """The first head that gives an output; ValueError if there is none."""
        for head in self.heads.values():
            if head.gives == gives:
                return head
        raise ValueError(
            f'this needs a head that gives {gives}, which the config does not build; heads: '
            f'{", ".join(f"{name} ({head.gives})" for name, head in self.heads.items()) or "none"}'
        )

    def compile_parts(self, **settings: Any) -> None:
        """Compile backbone, neck and heads to one graph each: ``compile`` of a config.

        For training only: a later copy of the model would run the graphs of the original.

        Args:
            settings: of ``torch.compile``.
        """
        settings = {'fullgraph': True, **settings}
        # a graph each with and without mask, for [CLS] alone, for training, and for each length
        dynamo = torch._dynamo.config
        dynamo.recompile_limit = max(64, dynamo.recompile_limit)
        for name in ('encode_pair', 'encode_image', 'encode_text'):
            if hasattr(self.backbone, name):
                compiled = torch.compile(getattr(self.backbone, name), **settings)
                setattr(self.backbone, name, compiled)
        for part in (self.neck, *self.heads.values()):
            if part is not None and not _synchronises(part):
                part.compile(**settings)

    def forward(
        self,
        inputs: dict[str, Any],
        data_samples: Sequence[PairDataSample] | None = None,
        mode: str = 'tensor',
    ) -> dict[str, torch.Tensor] | list[PairDataSample] | PairFeatures:
        """mmengine's entry: 'loss' -> losses, 'predict' -> samples, 'tensor' -> features.

        Args:
            inputs: ``inputs`` of :class:`PairDataPreprocessor`.
            data_samples: of each pair; not needed for 'tensor'.
            mode: 'loss', 'predict' or 'tensor'.
        """
        if mode == 'tensor':
            features = Features(self, inputs)
            return features.pair if self.is_joint else PairFeatures(features.image, features.text)
        if mode == 'loss':
            return self.loss(inputs, list(data_samples or []))
        if mode == 'predict':
            return self.predict(inputs, list(data_samples or []))
        raise ValueError(f"mode='{mode}'; legal: 'loss', 'predict', 'tensor'")

    def loss(
        self, inputs: dict[str, Any], data_samples: list[PairDataSample]
    ) -> dict[str, torch.Tensor]:
        """The weighted terms of Eq. 8; mmengine adds up the terms ``loss_*``."""
        features, batch = Features(self, inputs), Batch(inputs, data_samples)
        return {
            f'{key}_{name}': value
            for name, head in self.heads.items()
            if batch.step % self.intervals[name] == 0
            for key, value in head.loss(features, batch).items()
        }

    @torch.no_grad()
    def predict(
        self, inputs: dict[str, Any], data_samples: list[PairDataSample]
    ) -> list[PairDataSample]:
        """Run all heads and write their predictions into the samples."""
        cls_only = not any({'pair', 'decoded'} & {*head.reads} for head in self.heads.values())
        features, batch = Features(self, inputs, cls_only), Batch(inputs, data_samples)
        for head in self.heads.values():
            for key, values in head.predict(features, batch).items():
                for sample, value in zip(data_samples, values):
                    sample.set_field(value, key)
        return data_samples

    @torch.no_grad()
    def match(
        self, image: torch.Tensor, token_ids: torch.Tensor, text_mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Matching logits of pairs, float32 (B,); no other head runs.

        Of :class:`mvlt.models.ITMHead` log-odds, whose sigmoid is ``itm_score`` of
        :meth:`predict`.

        Raises:
            ValueError: the model has no matching head.
        """
        if not self.is_joint and not self.gives('match'):
            raise ValueError('a dual-encoder model cannot match pairs: set test_cfg.rerank=None')
        head = self.head_that('match')
        inputs = dict(image=image, token_ids=token_ids, text_mask=text_mask)
        return head.match(Features(self, inputs, cls_only=True))

    @torch.no_grad()
    def image_embeds(self, image: torch.Tensor) -> torch.Tensor:
        """Embeddings of images, float32 (B, D) of length 1."""
        pooled = Features(self, dict(image=image)).pooled_image
        return self.head_that('embedding').image_embeds(pooled)

    @torch.no_grad()
    def text_embeds(self, token_ids: torch.Tensor, text_mask: torch.Tensor | None) -> torch.Tensor:
        """Embeddings of captions, float32 (B, D) of length 1."""
        inputs = dict(token_ids=token_ids, text_mask=text_mask)
        return self.head_that('embedding').text_embeds(Features(self, inputs).pooled_text)

    @torch.no_grad()
    def embed(self, inputs: dict[str, Any], streams: Sequence[str]) -> torch.Tensor:
        """The sum of the embeddings of some streams, float32 (B, D), scaled to length 1.

        Args:
            inputs: ``inputs`` of the data preprocessor.
            streams: names; 'image' and 'text' are the main streams.
        """
        head, features = self.head_that('embedding'), Features(self, inputs)
        embeds = [
            head.image_embeds(features.of(image=name).pooled_image)
            if name == 'image' or name in inputs.get('images', {})
            else head.text_embeds(features.of(text=name).pooled_text)
            for name in streams
        ]
        return F.normalize(torch.stack(embeds).sum(0), dim=-1)


def _synchronises(part: nn.Module) -> bool:
    """Whether a part has SyncBatchNorm, which counts on the host and breaks a graph."""
    return any(isinstance(module, nn.SyncBatchNorm) for module in part.modules())


def _class_of(head: Mapping[str, Any]) -> Any:
    """The class of a head's settings; ValueError if it is not a head."""
    head_class: Any = MODELS.get(head['type']) if isinstance(head['type'], str) else head['type']
    lacking = [name for name in ('reads', 'gives', 'takes') if not hasattr(head_class, name)]
    if lacking:
        raise ValueError(
            f'{head_class.__name__} is not a head: it lacks {", ".join(lacking)}; derive it from '
            'mvlt.models.Head'
        )
    return head_class
