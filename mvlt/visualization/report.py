"""The demo's page: figures, curves and examples; it needs no network, script or second file."""

from pathlib import Path
from typing import Any

from mvlt.files import write_text
from mvlt.visualization.sheet import environment


def write_report(path: str | Path, **content: Any) -> None:
    """Fill ``report.html`` and write it, whole or not at all.

    Args:
        path: the page.
        content: ``title``, ``facts`` (str -> str), ``tables`` (each ``title``, ``note``, ``head``,
            ``rows``), ``curves`` (title -> data URI), ``examples`` (Sections).
    """
    write_text(path, environment().get_template('report.html').render(**content))
