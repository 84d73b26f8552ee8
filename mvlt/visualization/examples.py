"""Examples of a model's predictions as rows of a sheet (Fig. 5, 7 and 8 of the paper)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset, pseudo_collate
from scipy.special import expit

from mvlt.models import MVLT
from mvlt.models.data_preprocessor import mask_to_pixels
from mvlt.visualization.sheet import Cell, Row, hide, to_array

_BATCH = 32


def ranking_rows(
    dataset: BaseDataset, rankings: Sequence[Mapping], shown: int = 5, rerank: str | None = 'itm'
) -> tuple[Row, ...]:
    """Queries with their first ``shown`` candidates, and the match if it ranks lower: Fig. 5.

    Args:
        dataset: the evaluated dataset.
        rankings: results of a :class:`mvlt.engine.RankingLoop` (``rankings.json``).
        rerank: its ``rerank``; cosines (None) are shown unchanged, logits as probabilities.
    """
    rows = []
    for result in rankings:
        text_query, scores, query = result['direction'] == 'tir', result['scores'], result['query']
        order = sorted(range(len(scores)), key=lambda i: -scores[i])
        behind = [i for i in order if result['positives'][i]][:1]
        behind = [i for i in behind if i not in order[:shown]]
        image = None if text_query else image_of(dataset, query)
        cells = [Cell(image, _caption(dataset, query) if text_query else 'query', 'query')]
        for i in (*order[:shown], *behind):
            row, matched = result['candidates'][i], result['positives'][i]
            text = f'{scores[i]:.2f}' if rerank is None else f'{expit(scores[i]):.3f}'
            text += ' matched' if matched else ''
            if i in behind:
                text += f', rank {result["rank"]}'
            if not text_query:
                text += f' {_caption(dataset, row)}'
            image = image_of(dataset, row) if text_query else None
            cells.append(Cell(image, text, 'right' if matched else ''))
        rows.append(Row(f'rank of the match: {result["rank"]}', tuple(cells)))
    return tuple(rows)


def reconstruction_cells(
    model: MVLT, dataset: BaseDataset, rows: Sequence[int]
) -> list[tuple[float, tuple[Cell, Cell, Cell]]]:
    """Masked (grey), reconstructed and original images: Fig. 7.

    Returns:
        For each row the PSNR over masked pixels (over all without a mask), and the cells.

    Raises:
        ValueError: the model reconstructs no images, or the pipeline masks nothing.
    """
    if not model.gives('pixels') or (rows and 'image_mask' not in dataset[rows[0]]['data_samples']):
        raise ValueError(
            'the config has no model.heads.mir that reconstructs images, or its test pipeline '
            'masks nothing; take a config that reconstructs masked images, e.g. '
            'configs/mvlt/generation_catalogue.py'
        )
    examples = []
    for row, sample in zip(rows, predict(model, dataset, rows)):
        truth, reconstruction = sample.pixels.cpu().float() / 255, sample.reconstruction.cpu()
        mask = mask_to_pixels(sample.image_mask[None].cpu(), truth.shape[1:])[0].expand_as(truth)
        where = mask if mask.any() else ~mask
        psnr = -10 * float(((reconstruction - truth)[where] ** 2).mean().log10())
        image = to_array(sample.pixels)
        cells = (
            Cell(hide(image, sample.image_mask), _caption(dataset, row)),
            Cell(to_array(reconstruction), f'reconstructed, {psnr:.1f} dB'),
            Cell(image, 'original'),
        )
        examples.append((psnr, cells))
    return examples


def in_rows(cells: Sequence[Cell], width: int) -> tuple[Row, ...]:
    """Cells in rows of ``width``."""
    return tuple(
        Row('', tuple(cells[start : start + width])) for start in range(0, len(cells), width)
    )


def predict(model: MVLT, dataset: BaseDataset, rows: Sequence[int]) -> Iterator[Any]:
    """The samples of rows with the model's predictions."""
    for start in range(0, len(rows), _BATCH):
        samples = [dataset[row] for row in rows[start : start + _BATCH]]
        batch = model.data_preprocessor(pseudo_collate(samples))
        yield from model(**batch, mode='predict')


def _caption(dataset: BaseDataset, row: int) -> str:
    return dataset.get_data_info(row)['caption']


def image_of(dataset: BaseDataset, row: int) -> np.ndarray:
    """A record's image as its pipeline packs it, uint8 (H, W, 3)."""
    return to_array(dataset[row]['inputs']['image'])
