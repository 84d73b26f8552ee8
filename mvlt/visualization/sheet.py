"""Draws rows of small images with text as PNG."""

import io
import textwrap
from typing import Any, NamedTuple

import numpy as np
import torch

from mvlt.models.data_preprocessor import mask_to_pixels

COLOURS = dict(right='#1c8a4e', wrong='#b3365b', query='#23202b')
_MASK_GREY = 190
_WIDTH, _HEIGHT, _LINES = 1.6, 1.6, 7  # inches per cell, lines of text below it


class Bar(NamedTuple):
    """A value from 0 to 1 with its name; ``right`` marks the truth."""

    name: str
    value: float
    right: bool = False


class Cell(NamedTuple):
    """An image, uint8 (H, W, 3), with text and bars; ``mark`` is a key of COLOURS or ''."""

    image: np.ndarray | None = None
    words: str = ''
    mark: str = ''
    bars: tuple[Bar, ...] = ()


class Row(NamedTuple):
    """Cells side by side below a title."""

    title: str
    cells: tuple[Cell, ...]


class Section(NamedTuple):
    """Rows under a heading; ``name`` is the stem of its PNG."""

    name: str
    title: str
    note: str
    rows: tuple[Row, ...]


def to_array(pixels: np.ndarray | torch.Tensor) -> np.ndarray:
    """Uint8 (H, W, 3) of uint8 (H, W, 3) or (3, H, W), or of float (3, H, W), 0 to 1."""
    array = pixels.detach().cpu().numpy() if isinstance(pixels, torch.Tensor) else pixels
    if array.shape[0] == 3 and array.shape[-1] != 3:
        array = array.transpose(1, 2, 0)
    if array.dtype != np.uint8:
        array = (array.clip(0, 1) * 255).round().astype(np.uint8)
    return array


def hide(pixels: np.ndarray, mask: np.ndarray | torch.Tensor) -> np.ndarray:
    """Uint8 (H, W, 3) with the units of ``mask``, bool (H / u, W / u), in grey."""
    mask = torch.as_tensor(mask).cpu()
    masked = pixels.copy()
    masked[mask_to_pixels(mask[None], pixels.shape[:2])[0, 0].numpy()] = _MASK_GREY
    return masked


def draw(section: Section) -> bytes:
    """A section as PNG."""
    import matplotlib  # slow to import

    matplotlib.use('agg')
    from matplotlib import pyplot

    columns = max(len(row.cells) for row in section.rows)
    lines = [max(len(_lines(cell)) for cell in row.cells) for row in section.rows]
    heights = [_HEIGHT + 0.28 + 0.13 * count for count in lines]
    top, width = sum(heights), _WIDTH * columns + 0.3
    total = top + 0.4
    figure = pyplot.figure(figsize=(width, total))
    figure.text(0.01, 1 - 0.12 / total, section.title, fontsize=10, weight='bold', va='top')
    for row, height in zip(section.rows, heights):
        figure.text(0.01, top / total, row.title, fontsize=7, va='top', color='#6d6878')
        for column, cell in enumerate(row.cells):
            corner = (0.15 + column * _WIDTH) / width, (top - 0.2 - _HEIGHT) / total
            size = (_WIDTH - 0.12) / width, (_HEIGHT - 0.05) / total
            _draw_cell(figure.add_axes((*corner, *size)), cell)
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
    lines = _lines(cell)
    style: dict[str, Any] = dict(fontsize=6.5, va='top', transform=panel.transAxes)
    if cell.image is None:
        panel.text(0.04, 0.95, '\n'.join(line for line, _ in lines), **style)
        return
    panel.imshow(cell.image, interpolation='nearest')
    for number, (line, right) in enumerate(lines):
        colour = COLOURS['right' if right else 'query']
        panel.text(0, -0.04 - 0.13 / _HEIGHT * number, line, color=colour, **style)


def _lines(cell: Cell) -> list[tuple[str, bool]]:
    """Text and bars as lines, and whether each is marked right."""
    # a dollar sign would start a formula
    lines = textwrap.wrap(cell.words.replace('$', r'\$'), 27)
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], f'{lines[_LINES - 1][:24]}...']
    bars = ((f'{bar.value:.3f} {bar.name}', bar.right) for bar in cell.bars)
    marked = [(line.replace('$', r'\$')[:27], right) for line, right in bars]
    return [*((line, False) for line in lines), *marked]
