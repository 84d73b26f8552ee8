"""Where the [CLS] token looks: in each stage, at which part of the picture and at which words.

Legend: B batch, N image tokens, T text tokens.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from PIL import Image

from mvlt.datasets import Vocabulary
from mvlt.models import MVLT
from mvlt.visualization import Bar, Cell, Row
from mvlt.visualization.sheet import to_array

_WORDS = 6


@torch.no_grad()
def cls_attention(model: MVLT, inputs: dict[str, Any]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Attention of [CLS] in the last layer of every stage, averaged over heads.

    Args:
        model: in evaluation mode.
        inputs: what the data preprocessor returns under ``inputs``.

    Returns:
        For each stage ``image`` float (B, h, w), h x w the grid of its image keys, and ``text``
        float (B, T); the two sum to 1 for each sample.

    Raises:
        ValueError: the model's encoder is dual.
    """
    if not model.is_joint:
        raise ValueError('a dual-encoder model cannot show [CLS] attention: it reads no pair')
    found: list[tuple[torch.Tensor, torch.Tensor]] = []
    with _recorded(model) as calls:
        model(inputs)
    for attention, (x, size, key_mask) in calls:
        weights = attention.weights(x, size, key_mask, query=size[0] * size[1]).mean(1)
        grid = attention.key_grid(size)
        image, text = weights.split((grid[0] * grid[1], weights.shape[1] - grid[0] * grid[1]), 1)
        found.append((image.unflatten(1, grid), text))
    return found


@contextmanager
def _recorded(model: MVLT) -> Iterator[list[tuple[Any, tuple]]]:
    """What the last attention of every stage is called with."""
    calls: list[tuple[Any, tuple]] = []
    handles = [
        stage.layers[-1].attention.register_forward_pre_hook(
            lambda module, args: calls.append((module, args))
        )
        for stage in model.backbone.stages
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def attention_rows(
    model: MVLT, dataset: BaseDataset, rows: Sequence[int], vocabulary: Vocabulary
) -> tuple[Row, ...]:
    """A product a row: its picture, and for each stage where [CLS] looks; bars are its words."""
    batch = model.data_preprocessor(pseudo_collate([dataset[row] for row in rows]))
    stages = cls_attention(model, batch['inputs'])
    drawn = []
    for place, row in enumerate(rows):
        picture = to_array(batch['inputs']['pixels'][place])
        cells = [Cell(picture, dataset.get_data_info(row)['caption'], 'query')]
        ids = batch['inputs']['token_ids'][place].tolist()
        for number, (image, text) in enumerate(stages, 1):
            share = float(image[place].sum())
            best = text[place].argsort(descending=True)[:_WORDS].tolist()
            cells.append(
                Cell(
                    _heat(picture, image[place].cpu().numpy()),
                    f'stage {number}: {100 * share:.0f} % on the picture',
                    bars=tuple(Bar(vocabulary.token(ids[i]), float(text[place][i])) for i in best),
                )
            )
        drawn.append(Row('', tuple(cells)))
    return tuple(drawn)


def _heat(picture: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The picture, faded where nothing looks, red where most does."""
    heat = Image.fromarray((255 * weights / weights.max()).astype(np.uint8))
    size = (picture.shape[1], picture.shape[0])
    share = np.asarray(heat.resize(size, Image.Resampling.BILINEAR))[..., None] / 255
    faded = 0.35 * picture + 0.65 * 255
    red = np.array([220, 30, 60])
    shown = (1 - share) * faded + share * (0.55 * picture + 0.45 * red)
    return shown.round().astype(np.uint8)
