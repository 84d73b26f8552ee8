"""The Masked Vision-Language Transformer: backbone, image decoder and the objectives' heads."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.model import BaseModel
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from mvlt.models.backbones import PairFeatures
from mvlt.registry import MODELS
from mvlt.structures import PairDataSample, stack_labels


@MODELS.register_module()
class MVLT(BaseModel):
    """Paper Fig. 3. A head that a config does not name is not built, not run and not trained.

    Args:
        backbone: (image, token_ids, text_mask) -> PairFeatures; has ``embed_dims``, ``strides``.
        neck: maps of all stages -> one map, for ``mir_head``.
        itm_head, mlm_head, mir_head: the three objectives (Sec. 3.2).
        category_heads: label name -> head, e.g. ``dict(main_category=..., sub_category=...)``.
        data_preprocessor: stacks, normalises, masks, pads.

    Raises:
        ValueError: ``mir_head`` without ``neck``, or the other way round, or a neck that cannot
            use the backbone's maps.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict | None = None,
        itm_head: dict | None = None,
        mlm_head: dict | None = None,
        mir_head: dict | None = None,
        category_heads: dict[str, dict] | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if (neck is None) != (mir_head is None):
            raise ValueError(
                'model.neck and model.mir_head need each other: set both, or both to None'
            )
        self.backbone = MODELS.build(backbone)
        dims = self.backbone.embed_dims
        self.neck: Any = None
        self.mir_head: Any = None
        self.itm_head: Any = None
        self.mlm_head: Any = None
        if neck is not None and mir_head is not None:
            self.neck = MODELS.build(dict(neck, in_channels=dims, in_strides=self.backbone.strides))
            self.mir_head = MODELS.build(
                dict(mir_head, in_channels=self.neck.out_channels, stride=self.neck.stride)
            )
        if itm_head is not None:
            self.itm_head = MODELS.build(dict(itm_head, in_channels=dims[-1]))
        if mlm_head is not None:
            words = self.word_table
            self.mlm_head = MODELS.build(
                dict(
                    mlm_head, in_channels=dims[-1], vocab_size=len(words), word_dims=words.shape[1]
                )
            )
        self.category_heads = nn.ModuleDict(
            {
                name: MODELS.build(dict(head, in_channels=dims[-1]))
                for name, head in (category_heads or {}).items()
            }
        )

    @property
    def word_table(self) -> torch.Tensor:
        """Word vectors (vocabulary, word_dims) of the backbone."""
        return self.backbone.words.words.weight

    @property
    def rebuilds(self) -> bool:
        """Whether it gives pictures: its ``mir_head`` may predict features of patches instead."""
        return self.mir_head is not None and self.mir_head.rebuilds

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
            return self.extract(inputs)
        if mode == 'loss':
            return self.loss(inputs, list(data_samples or []))
        if mode == 'predict':
            return self.predict(inputs, list(data_samples or []))
        raise ValueError(f"mode='{mode}'; legal: 'loss', 'predict', 'tensor'")

    def extract(self, inputs: dict[str, Any]) -> PairFeatures:
        """Image maps and text sequences of all four stages."""
        return self.backbone(inputs['image'], inputs['token_ids'], inputs['text_mask'])

    def _features(self, inputs: dict[str, Any]) -> PairFeatures:
        """Those that the heads read: without image decoder and MLM head that is [CLS] alone.

        Training computes the whole, since DistributedDataParallel wants every weight to be used.
        """
        cls_only = self.neck is None and self.mlm_head is None and not torch.is_grad_enabled()
        return self.backbone(
            inputs['image'], inputs['token_ids'], inputs['text_mask'], cls_only=cls_only
        )

    def loss(
        self, inputs: dict[str, Any], data_samples: list[PairDataSample]
    ) -> dict[str, torch.Tensor]:
        """The weighted terms of Eq. 8; mmengine adds up what is called ``loss_*``."""
        images, texts = self._features(inputs)
        cls, device = texts[-1][:, 0], texts[-1].device
        matched = None
        if self.itm_head is not None or (data_samples and 'matched' in data_samples[0]):
            matched = stack_labels(data_samples, 'matched', device)
        losses = {}
        if self.mir_head is not None:
            losses['loss_mir'] = self.mir_head.loss(
                decoded=self.neck(images),
                target=inputs['pixels'].float() / 255,
                mask=inputs['image_mask'],
            )
        if self.itm_head is not None:
            losses['loss_itm'] = self.itm_head.loss(cls=cls, matched=matched)
        if self.mlm_head is not None:
            losses['loss_mlm'] = self.mlm_head.loss(
                text=texts[-1],
                labels=_word_labels(data_samples, inputs['token_ids']),
                matched=matched,
                word_table=self.word_table,
            )
        for name, head in self._categories():
            losses[f'loss_{name}'] = head.loss(
                cls=cls, category=stack_labels(data_samples, name, device)
            )
        return losses

    def parse_losses(
        self, losses: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """mmengine's sum of the terms, refused by all processes where one has no finite one.

        Raises:
            NonFiniteLossError: see there.
        """
        total, logged = super().parse_losses(losses)
        finite = torch.isfinite(total.detach()).float()
        all_reduce(finite, 'min')
        if not finite:
            values = {name: float(value.detach()) for name, value in losses.items()}
            raise NonFiniteLossError(f'the loss is not finite: {values}', values)
        return total, logged

    @torch.no_grad()
    def predict(
        self, inputs: dict[str, Any], data_samples: list[PairDataSample]
    ) -> list[PairDataSample]:
        """Run every head that is there and write its answer into the samples."""
        images, texts = self._features(inputs)
        cls = texts[-1][:, 0]
        if self.rebuilds:
            _write(data_samples, 'reconstruction', self.mir_head.predict(decoded=self.neck(images)))
            _write(data_samples, 'pixels', inputs['pixels'])
        if self.itm_head is not None:
            for sample, score in zip(data_samples, self.itm_head.predict(cls=cls).tolist()):
                sample.match_score = score
        if self.mlm_head is not None and data_samples and 'word_labels' in data_samples[0]:
            labels = _word_labels(data_samples, inputs['token_ids'])
            hidden = labels >= 0
            logits = self.mlm_head(text=texts[-1][hidden], word_table=self.word_table)
            log_probs = logits.float().log_softmax(-1).gather(-1, labels[hidden][:, None])[:, 0]
            counts = hidden.sum(1).tolist()
            for key, values in (('predictions', logits.argmax(-1)), ('log_probs', log_probs)):
                _write(data_samples, f'word_{key}', values.split(counts))
        for name, head in self._categories():
            _write(data_samples, f'{name}_scores', head.predict(cls=cls))
        return data_samples

    def _categories(self) -> Iterator[tuple[str, Any]]:
        yield from self.category_heads.items()

    @torch.no_grad()
    def match(
        self, image: torch.Tensor, token_ids: torch.Tensor, text_mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Log-odds that image and caption belong together, float32 (B,); nothing else is run.

        Their sigmoid is ``match_score`` of :meth:`predict`.

        Raises:
            ValueError: the model has no matching head.
        """
        if self.itm_head is None:
            raise ValueError('retrieval needs model.itm_head, which this config does not build')
        texts = self.backbone(image, token_ids, text_mask, cls_only=True).texts
        return self.itm_head.log_odds(cls=texts[-1][:, 0])


class NonFiniteLossError(FloatingPointError):
    """A loss is infinite or no number, on this process or another; no gradient has been taken.

    losses: name -> value on this process.
    """

    def __init__(self, message: str, losses: dict[str, float]) -> None:
        super().__init__(message)
        self.losses = losses


def _word_labels(samples: list[PairDataSample], token_ids: torch.Tensor) -> torch.Tensor:
    """The samples' ``word_labels``, padded with -1 to the shape (B, T) of ``token_ids``."""
    if not all('word_labels' in sample for sample in samples):
        raise KeyError("the MLM head needs 'word_labels': add MaskWords to the pipeline")
    labels = pad_sequence(
        [sample.word_labels for sample in samples], batch_first=True, padding_value=-1
    )
    full = token_ids.new_full(token_ids.shape, -1)
    full[:, : labels.shape[1]] = labels
    return full


def _write(
    samples: list[PairDataSample], key: str, values: torch.Tensor | Sequence[torch.Tensor]
) -> None:
    for sample, value in zip(samples, values):
        sample.set_field(value, key)
