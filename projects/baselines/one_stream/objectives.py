"""Objectives of the one-stream baselines besides ITM and MLM.

Legend: B batch, N regions, T tokens, C channels, L losses.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import permutations
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import BaseTransform
from torch import nn

from mvlt.models import MVLT, Features, Head, MaskedFeatureHead
from mvlt.models.heads.base import class_loss
from mvlt.registry import MODELS, TRANSFORMS
from mvlt.structures import Batch, PairDataSample


@MODELS.register_module()
class LastMap(nn.Module):
    """A neck for heads that predict targets of regions: the backbone's last map.

    Args:
        in_channels, in_strides: channels and strides of the backbone's maps.
    """

    def __init__(self, in_channels: tuple[int, ...], in_strides: tuple[int, ...]) -> None:
        super().__init__()
        self.out_channels = in_channels[-1]
        self.stride = in_strides[-1]

    def forward(self, maps: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """The last of the maps."""
        return maps[-1]


@MODELS.register_module()
class MaskedPatchKLHead(MaskedFeatureHead):
    """FashionBERT's masked patch modelling: KL divergence of features (Eq. 2).

    Args:
        temperature: of the targets' softmax; at 1, histograms of gradients are almost uniform.
        kwargs: see :class:`mvlt.models.MaskedFeatureHead`.
    """

    def __init__(
        self,
        decoded_channels: int,
        stride: int,
        targets: dict,
        temperature: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(decoded_channels, stride, targets, **kwargs)
        self.temperature = temperature

    def errors(self, predicted: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """KL(softmax(features) || softmax(predicted)), (B, H / s, W / s)."""
        target = (features / self.temperature).log_softmax(1)
        return F.kl_div(predicted.log_softmax(1), target, reduction='none', log_target=True).sum(1)


@MODELS.register_module()
class AdaptiveMVLT(MVLT):
    """FashionBERT's adaptive loss: steeper losses get larger weights.

    w_i = (L - g_i)^-1 / sum_j (L - g_j)^-1 (Eq. 5, from a KKT condition). Here g_i is the squared
    norm of loss i's gradient by the pair's last tokens and regions, divided by the sum over the
    losses, hence in 0..1. Losses that do not read the pair keep weight 1.
    """

    def loss(
        self, inputs: dict[str, Any], data_samples: list[PairDataSample]
    ) -> dict[str, torch.Tensor]:
        """The losses, weighted."""
        features, batch = Features(self, inputs), Batch(inputs, data_samples)
        losses = {
            f'loss_{name}': value
            for name, head in self.heads.items()
            for value in head.loss(features, batch).values()
        }
        pair = features.pair
        weights = adaptive_weights(losses, (pair.texts[-1], pair.images[-1]))
        return {name: value * weights.get(name, 1.0) for name, value in losses.items()}


def adaptive_weights(
    losses: Mapping[str, torch.Tensor], shared: Sequence[torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Weights of the L losses that depend on ``shared``; they sum to L."""
    squared_norms = {}
    for name, value in losses.items():
        gradients = torch.autograd.grad(value, shared, retain_graph=True, allow_unused=True)
        norms = [gradient.float().square().sum() for gradient in gradients if gradient is not None]
        if norms:
            squared_norms[name] = torch.stack(norms).sum()
    count = len(squared_norms)
    if count < 2:
        return {}
    total = torch.stack(list(squared_norms.values())).sum().clamp(min=1e-30)
    inverse = {name: 1 / (count - value / total) for name, value in squared_norms.items()}
    whole = torch.stack(list(inverse.values())).sum()
    return {name: count * value / whole for name, value in inverse.items()}


@MODELS.register_module()
class WordRegionAlignmentHead(Head):
    """UNITER's word-region alignment by optimal transport (Sec. 3.2).

    The loss minimises the distance of positives and maximises that of negatives.

    Args:
        iterations: of IPOT (Xie et al., 2018).
        step: beta of IPOT.
        loss_weight: factor; 0.1 in the original.
    """

    takes = ()
    published = False

    def __init__(
        self,
        iterations: int = 50,
        step: float = 0.5,
        loss_weight: float = 0.1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.iterations = iterations
        self.step = step
        self.loss_weight = loss_weight

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """(sum of distances of positives - sum of those of negatives) / B."""
        tokens = features.pair.texts[-1]
        regions = features.pair.images[-1].flatten(2).transpose(1, 2)
        mask = features.inputs['text_mask']
        if mask is None:
            mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        with torch.autocast(tokens.device.type, enabled=False):
            distance = transport_distance(
                tokens.float(), regions.float(), mask, self.iterations, self.step
            )
        sign = 2 * batch.labels('matched').float() - 1
        return dict(loss=self.loss_weight * (sign * distance).mean())

    def predict(self, features: Features, batch: Batch) -> dict[str, Any]:
        """Nothing: the head only trains the backbone."""
        return {}


def transport_distance(
    tokens: torch.Tensor, regions: torch.Tensor, mask: torch.Tensor, iterations: int, step: float
) -> torch.Tensor:
    """Transport distance by IPOT between tokens and regions at cosine cost, (B,).

    Tokens have equal weights, and so have regions. Gradients skip the plan, as in UNITER.

    Args:
        tokens: (B, T, C).
        regions: (B, N, C).
        mask: bool (B, T), False = padding.
        iterations, step: see :class:`WordRegionAlignmentHead`.
    """
    cost = 1 - F.normalize(tokens, dim=-1) @ F.normalize(regions, dim=-1).transpose(1, 2)
    with torch.no_grad():
        seen = mask[..., None].to(cost)
        kernel = (-cost / step).exp() * seen
        count_tokens, count_regions = seen.sum(1, keepdim=True), regions.shape[1]
        plan = seen.expand_as(cost) / (count_tokens * count_regions)
        by_region = cost.new_full((len(cost), count_regions), 1 / count_regions)
        for _ in range(iterations):
            q = kernel * plan
            by_token = mask / (count_tokens[:, 0] * (q @ by_region[..., None])[..., 0] + 1e-30)
            by_region = 1 / (count_regions * (q.transpose(1, 2) @ by_token[..., None])[..., 0])
            plan = by_token[..., None] * q * by_region[:, None]
    return (plan * cost).sum((1, 2))


@TRANSFORMS.register_module()
class MaskOneModality(BaseTransform):
    """UNITER's conditional masking: unmask either tokens or regions of a record.

    Use it after the transforms that mask (``pipeline.mask``, ``pipeline.words``).
    """

    def transform(self, results: dict) -> dict:
        """Undo one of the two masks."""
        if np.random.random() < 0.5:
            results['image_mask'] = np.zeros_like(results['image_mask'])
        else:
            labels = results['mlm_labels']
            results['token_ids'] = np.where(labels >= 0, labels, results['token_ids'])
            results['mlm_labels'] = np.full_like(labels, -1)
        return results


@MODELS.register_module()
class TagHead(Head):
    """OSCAR's tags: trains the tag classifier and detects polluted tags.

    Half of the images get another image's tags; [CLS] predicts which ones (OSCAR Eq. 2).

    Args:
        in_channels: C.
        classes: the label whose classes are tags.
        loss_weight: factor of both losses.
    """

    published = False

    def __init__(
        self,
        in_channels: int,
        classes: str = 'sub_category',
        loss_weight: float = 0.5,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.classes = classes
        self.loss_weight = loss_weight
        self.polluted = nn.Linear(in_channels, 1)

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Mean over the batch."""
        backbone: Any = features.model.backbone
        inputs = features.inputs
        logits = backbone.tag_logits(inputs['image'])
        classes = batch.labels(self.classes)
        if int(classes.max()) >= logits.shape[1]:
            raise ValueError(
                f'{self.classes} has at least {int(classes.max()) + 1} classes, but '
                f'model.backbone.tags={logits.shape[1]}: raise it'
            )
        tag_loss = class_loss(logits, classes, 0.0)
        tags = logits.detach().topk(backbone.tags_shown).indices
        polluted = torch.rand(len(tags), device=tags.device) < 0.5
        shown = torch.where(polluted[:, None], tags.roll(1, 0), tags)
        wrong = (shown.sort(1).values != tags.sort(1).values).any(
            1
        )  # another image may have the same tags
        pair = backbone.encode_pair(
            inputs['image'], inputs['token_ids'], inputs['text_mask'], tags=shown
        )
        polluted_logits = self.polluted(pair.texts[-1][:, 0])[:, 0].float()
        contrast = F.binary_cross_entropy_with_logits(polluted_logits, wrong.float())
        return dict(loss=self.loss_weight * (tag_loss + contrast))

    def predict(self, features: Features, batch: Batch) -> dict[str, Any]:
        """Nothing: the head only trains the backbone."""
        return {}


JIGSAWS = tuple(permutations(range(4)))


@MODELS.register_module()
class KaleidoHead(Head):
    """Kaleido-BERT's five tasks, one for each scale, in one pass (Sec. 3.4).

    1 x 1: classify the rotation by quarter turns. 2 x 2: classify the permutation (24). 3 x 3: find
    the part of another product. 4 x 4 and 5 x 5: predict the mean colours of grey and blank parts;
    the original regresses their ResNet features by KL divergence. The backbone needs
    ``scales=(1, 2, 3, 4, 5)``.

    Args:
        in_channels: C.
        share: ratio of grey and of blank parts.
        loss_weight: factor of the mean of the five losses.
    """

    published = False

    def __init__(
        self,
        in_channels: int,
        share: float = 0.2,
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.share = share
        self.loss_weight = loss_weight
        self.turned = nn.Linear(in_channels, 4)
        self.shuffled = nn.Linear(in_channels, len(JIGSAWS))
        self.foreign = nn.Linear(in_channels, 1)
        self.coloured = nn.Linear(in_channels, 3)
        self.filled = nn.Linear(in_channels, 3)

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Mean over the batch."""
        inputs = features.inputs
        image = inputs.get('whole_image', inputs['image'])
        count = len(image)
        turns = torch.randint(4, (count,), device=image.device)
        orders = torch.randint(len(JIGSAWS), (count,), device=image.device)
        cells = torch.randint(9, (count,), device=image.device)
        grey, blank = (
            torch.rand(count, scale * scale, device=image.device) < self.share for scale in (4, 5)
        )
        images = (
            turned(image, turns),
            shuffled(image, orders),
            replaced(image, image.roll(1, 0), F.one_hot(cells, 9).bool(), 3),
            replaced(image, image.mean(1, keepdim=True).expand_as(image), grey, 4),
            replaced(image, torch.zeros_like(image), blank, 5),
        )
        backbone = features.model.backbone
        with kept_statistics(backbone.regions):
            pair = backbone.encode_pair(images, inputs['token_ids'], inputs['text_mask'])
        parts = pair.images[-1].flatten(2).transpose(1, 2).float().split((1, 4, 9, 16, 25), 1)
        losses = [
            F.cross_entropy(self.turned(parts[0][:, 0]), turns),
            F.cross_entropy(self.shuffled(parts[1].mean(1)), orders),
            F.cross_entropy(self.foreign(parts[2])[..., 0], cells),
            _colour_error(self.coloured(parts[3]), image, grey, 4),
            _colour_error(self.filled(parts[4]), image, blank, 5),
        ]
        return dict(loss=self.loss_weight * torch.stack(losses).mean())

    def predict(self, features: Features, batch: Batch) -> dict[str, Any]:
        """Nothing: the head only trains the backbone."""
        return {}


@contextmanager
def kept_statistics(module: nn.Module) -> Iterator[None]:
    """Freeze BatchNorm's running statistics: evaluation uses those of intact images."""
    norms = [norm for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before):
            norm.momentum = momentum


def turned(image: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Images (B, 3, S, S) rotated left by quarter turns, int64 (B,)."""
    every = torch.stack([torch.rot90(image, k, (2, 3)) for k in range(4)])
    return every[turns, torch.arange(len(image), device=image.device)]


def shuffled(image: torch.Tensor, orders: torch.Tensor) -> torch.Tensor:
    """Quarters of each image (B, 3, H, W) in the order JIGSAWS[orders[b]]."""
    height, width = image.shape[2] // 2, image.shape[3] // 2
    quarters = image.unfold(2, height, height).unfold(3, width, width).flatten(2, 3)
    table = torch.tensor(JIGSAWS, device=image.device)[orders]
    index = table[:, None, :, None, None].expand_as(quarters)
    top, bottom = quarters.gather(2, index).chunk(2, 2)
    rows = [torch.cat(list(row.unbind(2)), -1) for row in (top, bottom)]
    return torch.cat(rows, 2)


def replaced(
    image: torch.Tensor, other: torch.Tensor, chosen: torch.Tensor, scale: int
) -> torch.Tensor:
    """``other`` in the chosen parts, bool (B, scale scale), row by row; else ``image``."""
    grid = chosen.view(-1, 1, scale, scale).float()
    mask = F.interpolate(grid, size=image.shape[2:], mode='nearest') > 0
    return torch.where(mask, other, image)


def _colour_error(
    predicted: torch.Tensor, image: torch.Tensor, chosen: torch.Tensor, scale: int
) -> torch.Tensor:
    """Squared error of the mean colours of the chosen parts; 0 without any."""
    target = F.adaptive_avg_pool2d(image, scale).flatten(2).transpose(1, 2).float()
    errors = (predicted - target).square().mean(-1)
    return (errors * chosen).sum() / chosen.sum().clamp(min=1)
