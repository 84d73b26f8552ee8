"""One self-contained page: it needs no network, no script and no second file."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader


def write_report(path: str | Path, **content: Any) -> None:
    """Fill ``report.html`` and write it, whole or not at all.

    Args:
        path: the page.
        content: ``title``, ``facts`` (str -> str), ``tables`` (each ``title``, ``note``, ``head``,
            ``rows``), ``curves`` (title -> data URI), ``tir``, ``itr`` (ranking_examples),
            ``categories``, ``reconstructions``.
    """
    environment = Environment(loader=PackageLoader('mvlt.visualization', '.'), autoescape=True)
    page = environment.get_template('report.html').render(**content)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}')
    partial.write_text(page, encoding='utf-8')
    partial.replace(path)
