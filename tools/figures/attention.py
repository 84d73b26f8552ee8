"""Attention of [CLS] in each stage, over the image and over the tokens.

Legend: B batch, N image tokens, T text tokens.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from PIL import Image

from mvlt.datasets import CaptionTokenizer
from mvlt.models import MVLT
from mvlt.visualization import Bar, Cell, Row
from mvlt.visualization.sheet import to_array

_WORDS = 6


@torch.no_grad()
def cls_attention(model: MVLT, inputs: dict[str, Any]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Attention of [CLS] in the last layer of every stage, averaged over heads.

    Args:
        model: in evaluation mode.
        inputs: the data preprocessor's ``inputs``.

    Returns:
        For each stage ``image`` float (B, h, w), over the grid of its image keys, and ``text``
        float (B, T); both together sum to 1 for each sample.

    Raises:
        ValueError: the model's encoder is dual.
    """
    if not model.is_joint:
        raise ValueError('a dual-encoder model cannot show [CLS] attention: it reads no pair')
    maps: list[tuple[torch.Tensor, torch.Tensor]] = []
    with _recorded(model) as calls:
        model(inputs)
    for attention, (x, size, key_mask) in calls:
        weights = attention.weights(x, size, key_mask, query=size[0] * size[1]).mean(1)
        grid = attention.key_grid(size)
        image, text = weights.split((grid[0] * grid[1], weights.shape[1] - grid[0] * grid[1]), 1)
        maps.append((image.unflatten(1, grid), text))
    return maps


@contextmanager
def _recorded(model: MVLT) -> Iterator[list[tuple[Any, tuple]]]:
    """Arguments of the last attention of every stage."""
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
    model: MVLT, dataset: BaseDataset, rows: Sequence[int], tokenizer: CaptionTokenizer
) -> tuple[Row, ...]:
    """A product a row: its image, and the attention of [CLS] in each stage; bars are tokens."""
    batch = model.data_preprocessor(pseudo_collate([dataset[row] for row in rows]))
    stages = cls_attention(model, batch['inputs'])
    drawn = []
    for position, row in enumerate(rows):
        shown = to_array(batch['inputs']['pixels'][position])
        cells = [Cell(shown, dataset.get_data_info(row)['caption'], 'query')]
        ids = batch['inputs']['token_ids'][position].tolist()
        for number, (image, text) in enumerate(stages, 1):
            share = float(image[position].sum())
            best = text[position].argsort(descending=True)[:_WORDS].tolist()
            cells.append(
                Cell(
                    _heat(shown, image[position].cpu().numpy()),
                    f'stage {number}: {100 * share:.0f} % on the image',
                    bars=tuple(
                        Bar(tokenizer.token(ids[i]), float(text[position][i])) for i in best
                    ),
                )
            )
        drawn.append(Row('', tuple(cells)))
    return tuple(drawn)


def _heat(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The image: faded without attention, red with most."""
    heat = Image.fromarray((255 * weights / weights.max()).astype(np.uint8))
    size = (image.shape[1], image.shape[0])
    share = np.asarray(heat.resize(size, Image.Resampling.BILINEAR))[..., None] / 255
    faded = 0.35 * image + 0.65 * 255
    red = np.array([220, 30, 60])
    shown = (1 - share) * faded + share * (0.55 * image + 0.45 * red)
    return shown.round().astype(np.uint8)
