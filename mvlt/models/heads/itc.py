"""Image-text contrast: separate embeddings of images and captions.

Not in the paper. Softmax as CLIP, sigmoid as SigLIP, queue and momentum copy as MoCo and ALBEF.

Legend: B pairs of this process, G of all processes, Q of the queue, C channels of the last stage,
D size of an embedding.
"""

import copy
import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather as gather_values
from mmengine.dist import get_rank
from torch import nn

from mvlt.models.features import Features
from mvlt.models.heads.base import Head, all_gather, linear
from mvlt.registry import MODELS
from mvlt.structures import IMAGE_KEYS, TEXT_KEYS, Batch, belong


@MODELS.register_module()
class ITCHead(Head):
    """Means of the image's last map and of the caption's last sequence -> embeddings of length 1.

    The loss contrasts images with the captions of all processes, and captions with images.
    Positives are rows of one product, rows of equal captions, and an augmented caption with every
    image that it describes (:func:`mvlt.structures.belong`); softmax weighs several positives
    alike. The caption of a pair that is not ``matched`` is no positive of its image.

    Args:
        in_channels: C of the backbone's last stage.
        dims: D; None = C, for encoders whose outputs are embeddings: there are no projections.
        form: 'softmax' over the candidates, or 'sigmoid' of each pair.
        temperature: initial temperature (learnable).
        max_logit_scale: upper limit of 1 / temperature, whose lower limit is 1.
        bias: initial bias of the logits (learnable), for 'sigmoid'.
        label_smoothing: 0 to 1, share of the target that is spread over all candidates, for
            'softmax'.
        count_other_captions: whether an augmented caption is a positive for images of other
            products that it describes.
        queue: Q, candidates from the last batches, embedded by a momentum copy of backbone and
            head; 0 = none. :class:`mvlt.engine.MomentumHook` updates the copy.
        momentum: share of the copy that a step keeps.
        backbone: the backbone to copy, from the model.
        loss_weight: factor of this loss.

    Raises:
        ValueError: an unknown ``form``.
    """

    reads = ('image', 'text')
    gives = 'embedding'
    takes = ('in_channels', 'backbone')
    training_tensors = (
        *('followers', 'queued_images', 'queued_texts'),
        *('queued_image_keys', 'queued_text_keys', 'queued'),
    )

    training_only = ('queue', 'momentum', 'label_smoothing', 'count_other_captions')

    def __init__(
        self,
        in_channels: int,
        dims: int | None = 256,
        form: Literal['softmax', 'sigmoid'] = 'softmax',
        temperature: float = 0.07,
        max_logit_scale: float = 100.0,
        bias: float = -10.0,
        label_smoothing: float = 0.0,
        count_other_captions: bool = True,
        queue: int = 0,
        momentum: float = 0.995,
        backbone: nn.Module | None = None,
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if form not in ('softmax', 'sigmoid'):
            raise ValueError(f"ITCHead.form='{form}'; legal: 'softmax', 'sigmoid'")
        self.form = form
        self.label_smoothing = label_smoothing
        self.count_other_captions = count_other_captions
        self.max_logit_scale = max_logit_scale
        self.momentum = momentum
        self.loss_weight = loss_weight
        self.image: nn.Module = nn.Identity() if dims is None else linear(in_channels, dims)
        self.text: nn.Module = nn.Identity() if dims is None else linear(in_channels, dims)
        dims = in_channels if dims is None else dims
        self.logit_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        self.bias = nn.Parameter(torch.tensor(bias)) if form == 'sigmoid' else None
        self.followers: Any = None
        if queue:
            self.followers = _copies(self, backbone)
            self.register_buffer('queued_images', torch.zeros(queue, dims))
            self.register_buffer('queued_texts', torch.zeros(queue, dims))
            keys = (torch.zeros(queue, size, dtype=torch.int64) for size in (IMAGE_KEYS, TEXT_KEYS))
            for name, empty in zip(('queued_image_keys', 'queued_text_keys'), keys):
                self.register_buffer(name, empty)
            self.register_buffer('queued', torch.tensor(0))  # rows queued so far
            self._pending: tuple[torch.Tensor, ...] | None = None
            self._count: int | None = 0  # ``queued`` on the host; None = unknown after loading

    @property
    def scale(self) -> torch.Tensor:
        """1 / temperature, a scalar."""
        return self.logit_scale.exp()

    def image_embeds(self, pooled: torch.Tensor) -> torch.Tensor:
        """(B, C) -> float32 (B, D) of length 1."""
        return F.normalize(self.image(pooled).float(), dim=-1)

    def text_embeds(self, pooled: torch.Tensor) -> torch.Tensor:
        """(B, C) -> float32 (B, D) of length 1."""
        return F.normalize(self.text(pooled).float(), dim=-1)

    def logits(self, queries: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, D) and (G, D) -> scaled similarities float32 (B, G), with the bias."""
        with torch.autocast(queries.device.type, enabled=False):
            logits = self.scale * queries.float() @ candidates.float().T
        return logits if self.bias is None else logits + self.bias

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Weighted mean over this process's pairs."""
        with torch.no_grad():
            self.logit_scale.clamp_(0, math.log(self.max_logit_scale))
        images, texts = features.embeds
        image_keys, text_keys = batch.image_keys, batch.text_keys
        if not self.count_other_captions:
            text_keys = torch.cat((text_keys[:, :-1], torch.zeros_like(text_keys[:, -1:])), 1)
        all_images, all_texts = all_gather(images), all_gather(texts)
        all_image_keys = torch.cat(gather_values(image_keys))
        all_text_keys = torch.cat(gather_values(text_keys))
        if self.followers is not None:
            self._pending = (*self._momentum_embeds(features), all_image_keys, all_text_keys)
            count = min(self._queued_on_host(), len(self.queued_images))
            all_images = torch.cat((all_images, self.queued_images[:count]))
            all_texts = torch.cat((all_texts, self.queued_texts[:count]))
            all_image_keys = torch.cat((all_image_keys, self.queued_image_keys[:count]))
            all_text_keys = torch.cat((all_text_keys, self.queued_text_keys[:count]))
        of_images = self._with_pairs(belong(image_keys, all_text_keys), batch)
        of_texts = self._with_pairs(belong(all_image_keys, text_keys).T, batch)
        if self.form == 'softmax':
            of_images, of_texts = _normalised(of_images), _normalised(of_texts)
        if batch.mixed is not None:
            of_images, of_texts = self._mixed(of_images, of_texts, *batch.mixed)
        by_image = self._loss(self.logits(images, all_texts), of_images)
        by_text = self._loss(self.logits(texts, all_images), of_texts)
        return dict(loss=self.loss_weight * (by_image + by_text) / 2)

    def predict(self, features: Features, batch: Batch) -> dict[str, Any]:
        """``similarity`` of image and caption, -1 to 1, float (B,)."""
        images, texts = features.embeds
        return dict(similarity=(images * texts).sum(-1).tolist())

    def _with_pairs(self, positives: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Positives and the partner of each matched row, float (B, G)."""
        count = len(positives)
        columns = torch.arange(count, device=positives.device) + count * get_rank()
        diagonal = F.one_hot(columns, positives.shape[1]).bool() & batch.matched[:, None]
        return (positives | diagonal).float()

    def _mixed(
        self, of_images: torch.Tensor, of_texts: torch.Tensor, partner: torch.Tensor, share: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Targets (B, G) of mixed images, and of captions over mixed images.

        The captions of an image have the weight ``share``, those of its partner the rest.
        """
        if self.followers is not None:
            raise ValueError('ITCHead.queue and data_preprocessor.mixup exclude each other')
        mixed = share * of_images + (1 - share) * of_images[partner]
        partners = torch.cat(gather_values(partner + len(partner) * get_rank()))
        shares = torch.cat(
            gather_values(partner.new_full(partner.shape, share, dtype=of_texts.dtype))
        )
        return mixed, shares * of_texts + (1 - shares) * of_texts[:, partners]

    def _loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self.form == 'sigmoid':
            loss = F.binary_cross_entropy_with_logits(logits, targets, reduction='sum')
            return loss / len(targets)
        return F.cross_entropy(logits, _normalised(targets), label_smoothing=self.label_smoothing)

    @torch.no_grad()
    def _momentum_embeds(self, features: Features) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (G, D) of the momentum copy, of all processes."""
        copies = self.followers
        momentum = Features(copies, features.inputs)
        images = F.normalize(copies['image'](momentum.pooled_image).float(), dim=-1)
        texts = F.normalize(copies['text'](momentum.pooled_text).float(), dim=-1)
        return torch.cat(gather_values(images)), torch.cat(gather_values(texts))

    @torch.no_grad()
    def start_following(self, backbone: nn.Module) -> None:
        """Copy the trained weights to the momentum copy and empty the queue."""
        for copied, source in _weights(self, backbone):
            copied.copy_(source)
        self.queued.zero_()
        self._count = 0

    @torch.no_grad()
    def follow(self, backbone: nn.Module) -> None:
        """Update the copy and queue the embeddings of the step; call it after each step."""
        for copied, source in _weights(self, backbone):
            copied.lerp_(source.to(copied.dtype), 1 - self.momentum)
        if self._pending is None:
            return
        images, texts, *_ = self._pending
        # the optimizer skips a step that is not finite; the host learns of it later
        finite = (images.isfinite() & texts.isfinite()).all()
        size = len(self.queued_images)
        count = len(self._pending[0])
        slots = ((torch.arange(count, device=self.queued.device) + self.queued) % size)[-size:]
        queues = (
            *(self.queued_images, self.queued_texts),
            *(self.queued_image_keys, self.queued_text_keys),
        )
        for queue, new in zip(queues, self._pending):
            queue[slots] = torch.where(finite, new[-size:], queue[slots])
        self._count = self._queued_on_host() + count
        self.queued += count
        self._pending = None

    def forget(self) -> None:
        """Drop the embeddings of a skipped step."""
        self._pending = None

    def _queued_on_host(self) -> int:
        """``queued``, read from the device once after loading."""
        if self._count is None:
            self._count = int(self.queued)
        return self._count

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._count = None
        super()._load_from_state_dict(*args, **kwargs)


def _normalised(targets: torch.Tensor) -> torch.Tensor:
    """Rows with the sum 1; a row without a target stays 0."""
    return targets / targets.sum(1, keepdim=True).clamp(min=1e-6)


def _copies(head: ITCHead, backbone: nn.Module | None) -> nn.ModuleDict:
    if backbone is None:
        raise ValueError('ITCHead.queue needs the argument backbone, which MVLT gives its heads')
    parts = dict(backbone=backbone, image=head.image, text=head.text)
    copies = nn.ModuleDict({name: copy.deepcopy(part) for name, part in parts.items()})
    return copies.requires_grad_(False)


def _weights(head: ITCHead, backbone: nn.Module) -> Any:
    """(copy, source) of each weight."""
    for name, source in (('backbone', backbone), ('image', head.image), ('text', head.text)):
        yield from zip(head.followers[name].parameters(), source.parameters())
