"""Search filters as plain data, checked against the columns; never text of a query language.

    {'sub_category': 'Tshirts', 'colour': ['Red', 'Pink'], 'price': {'max': 500}, 'in_stock': True}
    {'or': [{'brand': 'Nike'}, {'not': {'gender': 'Men'}}]}

Several keys must all hold. An empty cell is in no list and in no range, so ``not`` returns its
product.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Kind = Literal['text', 'number', 'flag']
Where = Mapping[str, Any]
MAX_VALUES = 1000  # of a filter
MAX_TERMS = 100  # conditions, and, or and not of a filter: a store's parser is recursive
MAX_DEPTH = 8
_SURROGATE = re.compile('[\ud800-\udfff]')  # half of a character, which no store can encode
_LARGEST = float(np.finfo(np.float64).max)
_TYPES: dict[Kind, pa.DataType] = dict(text=pa.string(), number=pa.float64(), flag=pa.bool_())


class Condition(NamedTuple):
    """One column against a list, or against a range with its bounds; None = open."""

    column: str
    values: tuple | None = None
    low: float | None = None
    high: float | None = None


class Group(NamedTuple):
    """Conditions joined by 'and' or 'or', or one part under 'not'."""

    word: Literal['and', 'or', 'not']
    parts: tuple['Condition | Group', ...]


def arrow_type(kind: Kind) -> pa.DataType:
    """The stored type of a kind of column."""
    return _TYPES[kind]


def parse(where: Where | None, columns: Mapping[str, Kind]) -> Group:
    """Check a filter against the columns.

    Args:
        where: see this module; None or {} passes every row.
        columns: name -> kind.

    Raises:
        ValueError: an unknown column, a value of another kind, too many terms or values.
    """
    return _parse(where, columns, Counter(terms=MAX_TERMS, values=MAX_VALUES), 0)


def _parse(
    where: Where | None, columns: Mapping[str, Kind], budget: Counter[str], depth: int
) -> Group:
    if where is None:
        return Group('and', ())
    if not isinstance(where, Mapping):
        raise ValueError(f'where: give a dict of column -> value, not {_short(where)}')
    if depth > MAX_DEPTH:
        raise ValueError(f'where: nest and, or, not at most {MAX_DEPTH} deep')
    parts: list[Condition | Group] = []
    for key, value in where.items():
        budget['terms'] -= 1
        if budget['terms'] < 0:
            raise ValueError(f'where: at most {MAX_TERMS} conditions')
        if key in ('and', 'or'):
            if not isinstance(value, Sequence) or isinstance(value, str) or not value:
                raise ValueError(f"where: '{key}' takes a list of dicts, not {_short(value)}")
            budget['terms'] -= len(value)
            if budget['terms'] < 0:
                raise ValueError(f'where: at most {MAX_TERMS} conditions')
            word: Literal['and', 'or'] = 'and' if key == 'and' else 'or'
            parts.append(
                Group(word, tuple(_parse(part, columns, budget, depth + 1) for part in value))
            )
        elif key == 'not':
            parts.append(Group('not', (_parse(value, columns, budget, depth + 1),)))
        elif key in columns:
            parts.append(_condition(key, columns[key], value, budget))
        else:
            legal = ', '.join(columns) or 'none'
            raise ValueError(f'where: no column {_short(key)}; legal: {legal}, and, or, not')
    return Group('and', tuple(parts))


def _condition(column: str, kind: Kind, value: Any, budget: Counter[str]) -> Condition:
    if isinstance(value, Mapping):
        if kind != 'number' or not value or set(value) - {'min', 'max'}:
            legal = "legal: {'min': 10, 'max': 50}, one bound or both"
            raise ValueError(
                f"where: '{column}' is {_short(dict(value))}; "
                + (legal if kind == 'number' else f'the column holds {kind}s, give values')
            )
        return Condition(
            column,
            low=_checked(column, kind, value['min']) if 'min' in value else None,
            high=_checked(column, kind, value['max']) if 'max' in value else None,
        )
    listed = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
    budget['values'] -= len(listed)
    if not listed or budget['values'] < 0:
        raise ValueError(
            f"where: '{column}' takes 1 to {MAX_VALUES} values, in all columns together"
        )
    return Condition(column, tuple(_checked(column, kind, item) for item in listed))


def _checked(column: str, kind: Kind, value: Any) -> Any:
    if not is_of_kind(value, kind):
        raise ValueError(f"where: '{column}' holds {kind}s, not {_short(value)}")
    return float(value) if kind == 'number' else value


def is_of_kind(value: Any, kind: Kind) -> bool:
    """Whether a value may stand in a column: text, a finite number of 64 bits, or a flag."""
    if kind == 'text':
        return isinstance(value, str) and not _SURROGATE.search(value)
    if kind == 'flag':
        return isinstance(value, bool)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= _LARGEST  # NaN is not; Python compares large integers exactly


def _short(value: Any) -> str:
    if isinstance(value, list | tuple | dict):  # of millions of items, repr takes seconds
        return f'a {type(value).__name__} of {len(value)}'
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def mask(where: Condition | Group, table: pa.Table) -> np.ndarray:
    """The rows of a table that pass a filter, bool (n,)."""
    if isinstance(where, Condition):
        column = table[where.column]
        if where.values is not None:
            fits = pc.is_in(column, pa.array(where.values, column.type))
        else:
            above = where.low is None or pc.greater_equal(column, where.low)
            below = where.high is None or pc.less_equal(column, where.high)
            fits = pc.and_(above, below)
        return np.asarray(pc.fill_null(fits, False), bool)
    masks = [mask(part, table) for part in where.parts]
    if where.word == 'not':
        return ~masks[0]
    start = np.full(len(table), where.word == 'and')
    combine = np.logical_and if where.word == 'and' else np.logical_or
    return combine.reduce([start, *masks])


class Dialect(NamedTuple):
    """The syntax of a store's conditions."""

    name: Callable[[str], str]
    value: Callable[[Any], str]
    members: tuple[str, str]  # brackets of a list
    never: str  # a condition that no row meets


def to_text(where: Condition | Group, dialect: Dialect, negated: bool = False) -> str:
    """A filter in a store's syntax; '' passes every row.

    ``not`` moves into the conditions: a store's own ``not`` drops rows without a value.
    """
    if isinstance(where, Group):
        if where.word == 'not':
            return to_text(where.parts[0], dialect, not negated)
        texts = [to_text(part, dialect, negated) for part in where.parts]
        either = (where.word == 'or') != negated
        if either and '' in texts:
            return ''
        texts = [text for text in texts if text]
        if not texts:
            return dialect.never if either else ''
        return texts[0] if len(texts) == 1 else f'({(" or " if either else " and ").join(texts)})'
    name = dialect.name(where.column)
    if where.values is not None:
        listed = ', '.join(dialect.value(value) for value in where.values)
        members = f'in {dialect.members[0]}{listed}{dialect.members[1]}'
        return f'({name} is null or {name} not {members})' if negated else f'{name} {members}'
    signs = ('<', '>') if negated else ('>=', '<=')
    bounds = [
        f'{name} {sign} {dialect.value(bound)}'
        for sign, bound in zip(signs, (where.low, where.high))
        if bound is not None
    ]
    if negated:
        return f'({" or ".join([f"{name} is null", *bounds])})'
    return f'({" and ".join(bounds)})'
