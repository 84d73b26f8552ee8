"""Pages that need no network, no script and no second file: sheets, and the report of the demo."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, FileSystemLoader
from PIL import Image

from mvlt.files import write_text, written_whole
from mvlt.visualization import Section, draw
from mvlt.visualization.sheet import to_array


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
        _environment()
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


def write_report(path: str | Path, **content: Any) -> None:
    """Fill ``report.html``, the page of the demo, and write it, whole or not at all.

    Args:
        path: the page.
        content: ``title``, ``facts`` (str -> str), ``tables`` (each ``title``, ``note``, ``head``,
            ``rows``), ``curves`` (title -> data URI), ``examples`` (Sections).
    """
    write_text(path, _environment().get_template('report.html').render(**content))


def picture_uri(pixels: np.ndarray | torch.Tensor, side: int = 160) -> str:
    """A PNG data URI, enlarged in whole steps so that pixels stay sharp.

    Args:
        pixels: see :func:`to_array`.
        side: at least so many pixels wide, if a whole factor below 8 reaches it.
    """
    image = Image.fromarray(to_array(pixels))
    factor = min(8, max(1, -(-side // image.width)))
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, 'png', optimize=True)
    return bytes_uri(buffer.getvalue(), 'image/png')


def bytes_uri(content: bytes, kind: str) -> str:
    """A data URI of any content."""
    return f'data:{kind};base64,{base64.b64encode(content).decode()}'


def _environment() -> Environment:
    """The templates beside this file; words are escaped, pictures become data URIs."""
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    templates.filters['uri'] = picture_uri
    return templates
