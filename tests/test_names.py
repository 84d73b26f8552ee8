"""Contract: a name says what it holds; names that could mean anything are not used."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BANNED = {'found', 'one', 'own', 'place', 'said', 'wanted'}


def _bindings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of all variables, parameters, functions, classes and imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            name = node.id if isinstance(node.ctx, ast.Store) else None
        elif isinstance(node, ast.arg):
            name = node.arg
        else:
            name = getattr(node, 'asname', None) or getattr(node, 'name', None)
        if name:
            yield node.lineno, name


def test_names_are_telling():
    lines = [
        f'{path.relative_to(ROOT)}:{line} {name}'
        for folder in ('mvlt', 'tools', 'projects', 'tests', 'configs')
        for path in sorted((ROOT / folder).rglob('*.py'))
        for line, name in _bindings(ast.parse(path.read_text('utf-8')))
        if name in BANNED
    ]
    assert not lines, 'name what it holds:\n' + '\n'.join(lines)


def test_names_of_the_notebooks_are_telling():
    cells = pytest.importorskip('IPython.core.inputtransformer2', reason="needs '.[dev]'")
    to_python = cells.TransformerManager().transform_cell
    lines = [
        f'{path.name}: {name}'
        for path in sorted((ROOT / 'docs/notebooks').glob('*.ipynb'))
        for cell in json.loads(path.read_text('utf-8'))['cells']
        if cell['cell_type'] == 'code'
        for _, name in _bindings(ast.parse(to_python(''.join(cell['source']))))
        if name in BANNED
    ]
    assert not lines, 'name what it holds:\n' + '\n'.join(lines)
