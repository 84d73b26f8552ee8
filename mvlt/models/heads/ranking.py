"""Ranking of captions, as ViLT fine-tunes for retrieval (paper Table 6).

Legend: B pairs, G groups, K pairs of a group, C channels of the last stage.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from mvlt.models.features import Features
from mvlt.models.heads.itm import ITMHead
from mvlt.registry import MODELS
from mvlt.structures import Batch


@MODELS.register_module()
class RankingHead(ITMHead):
    """The matching head, trained to rank the positive caption of a group first.

    Softmax of the log-odds over the K pairs of a group; weights are those of :class:`ITMHead`.

    Args:
        group_size: K, successive pairs of one image, one of them matched.
        in_channels, hidden_dims, loss_weight: see :class:`ITMHead`.
    """

    def __init__(self, in_channels: int, group_size: int = 16, **kwargs: Any) -> None:
        super().__init__(in_channels, **kwargs)
        self.group_size = group_size

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Weighted mean over the G groups of the label ``matched``, 0 or 1; B = G x K.

        Raises:
            ValueError: a group without exactly one matched pair.
        """
        matched = np.array(batch.values('matched'))
        groups = matched[: len(matched) // self.group_size * self.group_size]
        groups = groups.reshape(-1, self.group_size)
        if groups.size < len(matched) or (groups.sum(1) != 1).any():
            raise ValueError(
                f'RankingHead: a batch of {len(matched)} pairs does not consist of groups of '
                f'{self.group_size} with one matched pair each; train on RankingGroups with '
                f"num_negatives={self.group_size - 1} and collate_fn=dict(type='collate_groups')"
            )
        scores = self.itm_logits(cls=features.cls).view(-1, self.group_size)
        positives = batch.on_device(torch.from_numpy(groups.argmax(1)))
        return dict(loss=self.loss_weight * F.cross_entropy(scores, positives))
