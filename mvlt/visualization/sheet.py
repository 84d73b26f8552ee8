"""Rows of small pictures with words: as a self-contained page and as PNG."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader

from mvlt.files import write_text, written_whole
from mvlt.visualization.pictures import picture_uri

COLOURS = dict(right='#1c8a4e', wrong='#b3365b', query='#23202b')
_WIDTH, _HEIGHT, _LINES = 1.6, 1.6, 7  # inches a cell, lines of words below it


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


def environment() -> Environment:
    """Templates of this package; words are escaped, pictures become data URIs."""
    found = Environment(loader=PackageLoader('mvlt.visualization', '.'), autoescape=True)
    found.filters['uri'] = picture_uri
    return found


def write_sheet(
    folder: str | Path, title: str, sections: Sequence[Section], facts: Mapping[str, Any]
) -> list[Path]:
    """Write ``index.html``, which needs no network, no script and no second file, and the PNGs.

    Args:
        folder: made if missing.
        title: heading of the page.
        sections: what to show; each also becomes ``<name>.png``.
        facts: where it comes from, e.g. config and checkpoint.

    Returns:
        The files.
    """
    folder = Path(folder)
    page = folder / 'index.html'
    write_text(
        page,
        environment()
        .get_template('sheet.html')
        .render(title=title, sections=sections, facts=dict(facts)),
    )
    written = [page]
    for section in sections:
        if section.rows:
            path = folder / f'{section.name}.png'
            with written_whole(path) as file:
                file.write(draw(section))
            written.append(path)
    return written


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
