"""The Masked Vision-Language Transformer: backbone, image decoder and the objectives' heads."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import nn

from mvlt.models.encoders import PairFeatures
from mvlt.models.features import Features
from mvlt.registry import MODELS
from mvlt.structures import Batch, PairDataSample


@MODELS.register_module()
class MVLT(BaseModel):
    """Paper Fig. 3. A head that a config does not name is not built, not run and not trained.

    Args:
        backbone: an encoder, joint (:class:`mvlt.models.encoders.JointEncoder`) or dual
            (:class:`mvlt.models.DualEncoder`).
        neck: maps of all stages -> one map, ``features.decoded``.
        heads: name -> :class:`mvlt.models.Head` or None; the objectives of Sec. 3.2 are ``itm``,
            ``mlm`` and ``mir``. A head's setting ``interval``, the model's own, lets it learn in
            one of so many steps of a training: pairs cost several times what towers do. With
            several processes that needs ``find_unused_parameters=True``.
        data_preprocessor: stacks, normalises, masks, pads.
        grad_cache_chunk_size: pictures, and captions, that the towers encode at a time in
            training; each is encoded
            again for its gradients, so that the batch to be contrasted may be as large as is
            wanted. Heads that read pairs keep all of the batch. None = all at once.

    Raises:
        ValueError: a head that reads the neck's map without ``neck``, or ``neck`` without one; a
            neck that cannot use the encoder's maps; a head that reads pairs on a dual encoder.
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
        wanted = {name: head for name, head in (heads or {}).items() if head is not None}
        wanted = {name: dict(head) for name, head in wanted.items()}
        self.intervals = {name: head.pop('interval', 1) for name, head in wanted.items()}
        kinds: dict[str, Any] = {name: _kind(head) for name, head in wanted.items()}
        decoding = [name for name, kind in kinds.items() if 'decoded' in kind.reads]
        if (neck is None) != (not decoding):
            raise ValueError(
                'model.neck and the heads that read its map (mir) need each other: set both, or '
                f'both to None; heads: {", ".join(wanted) or "none"}'
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
        for name, head in wanted.items():
            given = dict(sizes, name=name, label=name)
            taken = {key: given[key] for key in kinds[name].takes}
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
        """Word vectors (tokenizer, token_embed_dim) of the encoder."""
        return self.backbone.token_embedding

    def head(self, name: str) -> Any:
        """The head of that name.

        Raises:
            ValueError: there is none.
        """
        if name not in self.heads:
            raise ValueError(
                f'this needs model.heads.{name}, which the config does not build; heads: '
                f'{", ".join(self.heads) or "none"}'
            )
        return self.heads[name]

    def gives(self, what: str) -> bool:
        """Whether a head gives it, e.g. 'pixels': see :class:`mvlt.models.Head`."""
        return any(head.gives == what for head in self.heads.values())

    def head_that(self, gives: str) -> Any:
        """The head that gives something.

        Raises:
            ValueError: there is none.
        """
        for head in self.heads.values():
            if head.gives == gives:
                return head
        raise ValueError(
            f'this needs a head that gives {gives}, which the config does not build; heads: '
            f'{", ".join(f"{name} ({head.gives})" for name, head in self.heads.items()) or "none"}'
        )

    def compile_parts(self, **settings: Any) -> None:
        """Let backbone, neck and heads run as one graph each: ``compile`` of a config.

        For a training: a copy of the model that is made later would run the first one's graphs.

        Args:
            settings: torch.compile's.
        """
        settings = {'fullgraph': True, **settings}
        # with and without mask, [CLS] alone, training or not, some lengths: a graph each
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
            inputs: what :class:`PairDataPreprocessor` returns under ``inputs``.
            data_samples: one a pair; not needed for 'tensor'.
            mode: one of the three.
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
        """The weighted terms of Eq. 8; mmengine adds up what is called ``loss_*``."""
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
        """Run every head that is there and write its answers into the samples."""
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
        """What the matching head ranks pairs by, float32 (B,); nothing else is run.

        Of :class:`mvlt.models.ITMHead` log-odds, whose sigmoid is ``itm_score`` of
        :meth:`predict`.

        Raises:
            ValueError: the model has no matching head, as no dual encoder has.
        """
        if not self.is_joint and not self.gives('match'):
            raise ValueError('a dual-encoder model cannot match pairs: set test_cfg.rerank=None')
        head = self.head_that('match')
        inputs = dict(image=image, token_ids=token_ids, text_mask=text_mask)
        return head.match(Features(self, inputs, cls_only=True))

    @torch.no_grad()
    def image_embeds(self, image: torch.Tensor) -> torch.Tensor:
        """Of pictures alone, float32 (B, D) of length 1: as its head gives them."""
        pooled = Features(self, dict(image=image)).pooled_image
        return self.head_that('embedding').image_embeds(pooled)

    @torch.no_grad()
    def text_embeds(self, token_ids: torch.Tensor, text_mask: torch.Tensor | None) -> torch.Tensor:
        """Of captions alone, float32 (B, D) of length 1."""
        inputs = dict(token_ids=token_ids, text_mask=text_mask)
        return self.head_that('embedding').text_embeds(Features(self, inputs).pooled_text)

    @torch.no_grad()
    def embed(self, inputs: dict[str, Any], streams: Sequence[str]) -> torch.Tensor:
        """Some streams of each row as one vector, float32 (B, D) of length 1: their sum.

        Args:
            inputs: what the data preprocessor returns under ``inputs``.
            streams: names, 'image' and 'text' the pair's own.
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
    """SyncBatchNorm counts on the host, which no graph can."""
    return any(isinstance(one, nn.SyncBatchNorm) for one in part.modules())


def _kind(head: Mapping[str, Any]) -> Any:
    """The class of a head's settings.

    Raises:
        ValueError: it does not say what a head says.
    """
    kind: Any = MODELS.get(head['type']) if isinstance(head['type'], str) else head['type']
    lacking = [name for name in ('reads', 'gives', 'takes') if not hasattr(kind, name)]
    if lacking:
        raise ValueError(
            f'{kind.__name__} is no head: it lacks {", ".join(lacking)}; derive it from '
            'mvlt.models.Head'
        )
    return kind
