"""Cards of small pictures with words, as PNG: what a model answers to single products."""

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dataset import BaseDataset, pseudo_collate

from mvlt.models import MVLT
from mvlt.models.data_preprocessor import mask_to_pixels

COLOURS = dict(right='#1c8a4e', wrong='#b3365b', query='#23202b')
HIDDEN = 190  # the grey of what is hidden
_WIDTH, _HEIGHT, _LINES = 1.6, 1.6, 7  # inches a cell, lines of words below it
_BATCH = 32


class Bar(NamedTuple):
    """A value from 0 to 1 with its name; ``right`` marks the truth."""

    name: str
    value: float
    right: bool = False


class Cell(NamedTuple):
    """A card: picture uint8 (H, W, 3) or none, words, bars; ``mark`` a key of COLOURS or ''."""

    picture: np.ndarray | None = None
    words: str = ''
    mark: str = ''
    bars: tuple[Bar, ...] = ()


class Row(NamedTuple):
    """Cells side by side below a line of words."""

    title: str
    cells: tuple[Cell, ...]


class Section(NamedTuple):
    """Rows under a heading; ``name`` is the stem of its PNG."""

    name: str
    title: str
    note: str
    rows: tuple[Row, ...]


def ranking_rows(
    dataset: BaseDataset, rankings: Sequence[Mapping], shown: int = 5, order: str = 'matching'
) -> tuple[Row, ...]:
    """A query and its first ``shown`` candidates; the match too, if it ranks behind them: Fig. 5.

    Args:
        dataset: the evaluated one; gives pictures and captions.
        rankings: results of a :class:`mvlt.engine.RankingLoop` (``rankings.json``).
        order: its ``order``; the similarity of 'vectors' is shown as it is, others as probability.
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
            words = f'{score:.1f}' if order == 'vectors' else f'{1 / (1 + np.exp(-score)):.3f}'
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


def to_array(pixels: np.ndarray | torch.Tensor) -> np.ndarray:
    """Uint8 (H, W, 3) of uint8 (H, W, 3) or (3, H, W), or of float (3, H, W), 0 to 1."""
    array = pixels.detach().cpu().numpy() if isinstance(pixels, torch.Tensor) else pixels
    if array.shape[0] == 3 and array.shape[-1] != 3:
        array = array.transpose(1, 2, 0)
    if array.dtype != np.uint8:
        array = (array.clip(0, 1) * 255).round().astype(np.uint8)
    return array


def hide(pixels: np.ndarray, mask: np.ndarray | torch.Tensor) -> np.ndarray:
    """Uint8 (H, W, 3) with the hidden units of ``mask``, bool (H / u, W / u), in grey."""
    mask = torch.as_tensor(mask).cpu()
    shown = pixels.copy()
    shown[mask_to_pixels(mask[None], pixels.shape[:2])[0, 0].numpy()] = HIDDEN
    return shown


def draw(section: Section) -> bytes:
    """A section as PNG."""
    import matplotlib  # slow to import, and needed here only

    matplotlib.use('agg')
    from matplotlib import pyplot

    columns = max(len(row.cells) for row in section.rows)
    lines = [max(len(_lines(cell)) for cell in row.cells) for row in section.rows]
    heights = [_HEIGHT + 0.28 + 0.13 * count for count in lines]
    figure = pyplot.figure(figsize=(_WIDTH * columns + 0.3, sum(heights) + 0.4))
    top = sum(heights)
    total = top + 0.4
    figure.text(0.01, 1 - 0.12 / total, section.title, fontsize=10, weight='bold', va='top')
    for row, height in zip(section.rows, heights):
        figure.text(0.01, top / total, row.title, fontsize=7, va='top', color='#6d6878')
        for place, cell in enumerate(row.cells):
            left = (0.15 + place * _WIDTH) / (_WIDTH * columns + 0.3)
            panel = figure.add_axes(
                (
                    left,
                    (top - 0.2 - _HEIGHT) / total,
                    (_WIDTH - 0.12) / (_WIDTH * columns + 0.3),
                    (_HEIGHT - 0.05) / total,
                )
            )
            _draw_cell(panel, cell)
        top -= height
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110)
    pyplot.close(figure)
    return buffer.getvalue()


def _draw_cell(panel: Any, cell: Cell) -> None:
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_color(COLOURS.get(cell.mark, '#e3e0e8'))
    panel.spines[:].set_linewidth(2.5 if cell.mark else 1)
    words = _lines(cell)
    if cell.picture is None:
        text = '\n'.join(line for line, _ in words)
        panel.text(0.04, 0.95, text, fontsize=6.5, va='top', transform=panel.transAxes)
        return
    panel.imshow(cell.picture, interpolation='nearest')
    for number, (line, right) in enumerate(words):
        panel.text(
            0,
            -0.04 - 0.13 / _HEIGHT * number,
            line,
            fontsize=6.5,
            va='top',
            transform=panel.transAxes,
            color=COLOURS['right'] if right else COLOURS['query'],
        )


def _lines(cell: Cell) -> list[tuple[str, bool]]:
    """Words and bars as lines of text, and whether each is marked right."""
    # a dollar sign would start a formula
    words = textwrap.wrap(cell.words.replace('$', r'\$'), 27)
    if len(words) > _LINES:
        words = [*words[: _LINES - 1], f'{words[_LINES - 1][:24]}...']
    bars = [
        (f'{bar.value:.3f} {bar.name}'.replace('$', r'\$')[:27], bar.right) for bar in cell.bars
    ]
    return [*((line, False) for line in words), *bars]


def _caption(dataset: BaseDataset, row: int) -> str:
    return dataset.get_data_info(row)['caption']


def picture_of(dataset: BaseDataset, row: int) -> np.ndarray:
    """A record's picture as its pipeline packs it, uint8 (H, W, 3)."""
    return to_array(dataset[row]['inputs']['image'])
