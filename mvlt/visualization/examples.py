"""What a model answers to single products, as rows of a sheet (Fig. 5 to 8 of the paper)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset, pseudo_collate
from scipy.special import expit
from torchmetrics.functional.image import peak_signal_noise_ratio

from mvlt.models import MVLT
from mvlt.models.data_preprocessor import mask_to_pixels
from mvlt.visualization.pictures import hide, to_array
from mvlt.visualization.sheet import Bar, Cell, Row

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
                _picture(dataset, one['query']) if not text_query else None,
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
            picture = _picture(dataset, row) if text_query else None
            cells.append(Cell(picture, words, 'right' if matched else ''))
        rows.append(Row(f'rank of the match: {one["rank"]}', tuple(cells)))
    return tuple(rows)


def category_cells(
    model: MVLT, dataset: BaseDataset, rows: Sequence[int], best: int = 3
) -> list[tuple[float, Cell]]:
    """Picture, truth and the ``best`` most probable classes of each level: Fig. 6.

    Returns:
        For each row the lowest probability that any level gives to the truth, and the card.

    Raises:
        ValueError: the model has no category head.
    """
    levels = {head.label for head in model.heads.values() if hasattr(head, 'num_classes')}
    if not levels:
        raise ValueError(
            'the config has no head of categories to draw; take a recognition config, e.g. '
            'configs/mvlt/recognition_catalogue.py'
        )
    found = []
    for row, sample in zip(rows, predict(model, dataset, rows)):
        bars: list[Bar] = []
        words, certain = [], 1.0
        right = True
        for level in sorted(levels):
            names = dataset.metainfo[level]
            scores = sample.get(f'{level}_scores').cpu()
            truth = sample.get(level)
            order = scores.argsort(descending=True)[:best].tolist()
            words.append(f'{level.replace("_", " ")}: {names[truth]}')
            bars += [
                Bar(names[i] if i < len(names) else f'row {i}', float(scores[i]), i == truth)
                for i in order
            ]
            # a class that training lacks has no probability at all
            certain = min(certain, float(scores[truth]) if truth < len(scores) else 0.0)
            right = right and order[0] == truth
        mark = 'right' if right else 'wrong'
        found.append((certain, Cell(_picture(dataset, row), '; '.join(words), mark, tuple(bars))))
    return found


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
        psnr = float(peak_signal_noise_ratio(rebuilt[where], truth[where], data_range=1.0))
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


def _picture(dataset: BaseDataset, row: int) -> np.ndarray:
    return to_array(dataset[row]['inputs']['image'])
