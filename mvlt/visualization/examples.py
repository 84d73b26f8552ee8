"""What a model answers to single products, as rows of a sheet (Fig. 5, 7 and 8 of the paper)."""

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
    """A query and its first ``shown`` candidates; the match too, if it ranks behind them: Fig. 5.

    Args:
        dataset: the evaluated one; gives pictures and captions.
        rankings: results of a :class:`mvlt.engine.RankingLoop` (``rankings.json``).
        rerank: its ``rerank``; cosines (None) are shown as they are, logits as probabilities.
    """
    rows = []
    for one in rankings:
        text_query = one['direction'] == 'tir'
        places = sorted(range(len(one['scores'])), key=lambda i: -one['scores'][i])
        behind = [i for i in places if one['positives'][i]][:1]
        behind = [i for i in behind if i not in places[:shown]]
        cells = [
            Cell(
                picture_of(dataset, one['query']) if not text_query else None,
                _caption(dataset, one['query']) if text_query else 'query',
                'query',
            )
        ]
        for i in (*places[:shown], *behind):
            row, matched = one['candidates'][i], one['positives'][i]
            score = one['scores'][i]
            words = f'{score:.2f}' if rerank is None else f'{expit(score):.3f}'
            words += ' matched' if matched else ''
            if i in behind:
                words += f', rank {one["rank"]}'
            if not text_query:
                words += f' {_caption(dataset, row)}'
            picture = picture_of(dataset, row) if text_query else None
            cells.append(Cell(picture, words, 'right' if matched else ''))
        rows.append(Row(f'rank of the match: {one["rank"]}', tuple(cells)))
    return tuple(rows)


def reconstruction_cells(
    model: MVLT, dataset: BaseDataset, rows: Sequence[int]
) -> list[tuple[float, tuple[Cell, Cell, Cell]]]:
    """Masked, rebuilt and original picture: Fig. 7. Hidden units are drawn grey.

    Returns:
        For each row the PSNR over the hidden part (the whole where nothing is hidden), and cards.

    Raises:
        ValueError: the model rebuilds nothing, or the pipeline hides nothing.
    """
    if not model.gives('pixels') or (rows and 'image_mask' not in dataset[rows[0]]['data_samples']):
        raise ValueError(
            'the config has no model.heads.mir, one that rebuilds no picture, or its test pipeline '
            'hides nothing; take one that '
            'rebuilds masked pictures, e.g. configs/mvlt/generation_catalogue.py'
        )
    found = []
    for row, sample in zip(rows, predict(model, dataset, rows)):
        truth, rebuilt = sample.pixels.cpu().float() / 255, sample.reconstruction.cpu()
        hidden = mask_to_pixels(sample.image_mask[None].cpu(), truth.shape[1:])[0].expand_as(truth)
        where = hidden if hidden.any() else ~hidden
        psnr = -10 * float(((rebuilt - truth)[where] ** 2).mean().log10())
        picture = to_array(sample.pixels)
        found.append(
            (
                psnr,
                (
                    Cell(hide(picture, sample.image_mask), _caption(dataset, row)),
                    Cell(to_array(rebuilt), f'rebuilt, {psnr:.1f} dB'),
                    Cell(picture, 'original'),
                ),
            )
        )
    return found


def in_rows(cells: Sequence[Cell], width: int) -> tuple[Row, ...]:
    """Cards in rows of ``width``."""
    return tuple(
        Row('', tuple(cells[start : start + width])) for start in range(0, len(cells), width)
    )


def predict(model: MVLT, dataset: BaseDataset, rows: Sequence[int]) -> Iterator[Any]:
    """Samples with the model's answers, one a row."""
    for start in range(0, len(rows), _BATCH):
        samples = [dataset[row] for row in rows[start : start + _BATCH]]
        batch = model.data_preprocessor(pseudo_collate(samples))
        yield from model(**batch, mode='predict')


def _caption(dataset: BaseDataset, row: int) -> str:
    return dataset.get_data_info(row)['caption']


def picture_of(dataset: BaseDataset, row: int) -> np.ndarray:
    """A record's picture as its pipeline packs it, uint8 (H, W, 3)."""
    return to_array(dataset[row]['inputs']['image'])
