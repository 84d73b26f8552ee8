"""Contract: a name says what it holds; names that could mean anything are not used."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
BANNED = {'found', 'one', 'own', 'place', 'said', 'wanted'}


def _bindings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of all variables, parameters, functions, classes and imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.lineno, node.name
        elif isinstance(node, ast.alias) and node.asname:
            yield node.lineno, node.asname


def test_names_are_telling():
    lines = [
        f'{path.relative_to(ROOT)}:{line} {name}'
        for folder in ('mvlt', 'tools', 'projects', 'tests', 'configs')
        for path in sorted((ROOT / folder).rglob('*.py'))
        for line, name in _bindings(ast.parse(path.read_text('utf-8')))
        if name in BANNED
    ]
    assert not lines, 'name what it holds:\n' + '\n'.join(lines)
