"""Self-contained pages: sheets, and the report of the demo."""

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
    """Write ``index.html``, without scripts or links to other files, and PNG files.

    Args:
        folder: created if missing.
        title: heading of the page.
        sections: its content; each also becomes ``<name>.png``.
        facts: origin, e.g. config and checkpoint.

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
    """Write the page of the demo from ``report.html``, whole or not at all.

    Args:
        path: the page.
        content: ``title``, ``facts`` (str -> str), ``tables`` (each ``title``, ``note``, ``head``,
            ``rows``), ``curves`` (title -> data URI), ``examples`` (Sections).
    """
    write_text(path, _environment().get_template('report.html').render(**content))


def image_uri(pixels: np.ndarray | torch.Tensor, side: int = 160) -> str:
    """A PNG data URI, enlarged by a whole factor so that pixels stay sharp.

    Args:
        pixels: see :func:`to_array`.
        side: minimum width in pixels; the factor is at most 8.
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
    """The templates beside this file; text is escaped, images become data URIs."""
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    templates.filters['uri'] = image_uri
    return templates
