"""The meaning of a table's columns, by a file beside it, a config or the table itself.

Training, check, page and search all decide by :func:`decide`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

import pandas as pd
from mmengine.logging import print_log

from mvlt.datasets.column_guesses import KEYS, guess_description
from mvlt.files import read_json

SPLITS = ('train', 'val', 'test')
_OTHER_SPLITS = dict(training='train', valid='val', validation='val', dev='val', testing='test')


class Meaning(NamedTuple):
    """Meaning of a table's columns.

    columns: key of ``KEYS`` -> column, None = no such column.
    caption: template over the columns.
    attributes: attribute -> column.
    caption_templates: more templates.
    """

    columns: Mapping[str, str | None]
    caption: str
    attributes: dict[str, str]
    caption_templates: tuple[str, ...]


class Template:
    """A caption template over a table's columns: ``{title}. {colour}``.

    ``{title|brand kind}`` is the title or, if unknown, brand and kind.

    Args:
        text: the template.
        names: the table's columns.

    Raises:
        KeyError: a field names no column.
        ValueError: an unclosed brace.
    """

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self.parts: list[tuple[str, list[list[str]]]] = []
        try:
            parsed = list(Formatter().parse(text))
        except ValueError as error:
            raise ValueError(f"caption template '{text}': {error}") from error
        for literal, field, spec, conversion in parsed:
            if field is None:
                self.parts.append((literal, []))
                continue
            # a column's name may hold '!' or ':'
            field += f'!{conversion}' if conversion else ''
            field += f':{spec}' if spec else ''
            choices = [field] if field in names else field.split('|')
            self.parts.append((literal, [_columns_in(choice.strip(), names) for choice in choices]))

    @property
    def columns(self) -> list[str]:
        """The columns that the template reads."""
        return [name for _, choices in self.parts for choice in choices for name in choice]

    def fill(self, cells: Mapping[str, str], missing: frozenset[str]) -> str:
        """The caption of a product; '' if no letter or digit is left."""
        pieces = []
        for literal, choices in self.parts:
            values = (
                ' '.join(cells[name] for name in choice if cells[name] not in missing)
                for choice in choices
            )
            pieces += [literal, next(filter(None, values), '')]
        caption = ' '.join(''.join(pieces).split()).strip(' ,.;')
        return caption if any(character.isalnum() for character in caption) else ''


def _columns_in(text: str, names: Sequence[str]) -> list[str]:
    """The sequence of columns that a text names; names may contain blanks."""
    words = text.split(' ')
    columns: list[str] = []
    while words:
        for count in range(len(words), 0, -1):
            if (name := ' '.join(words[:count])) in names:
                break
        else:
            raise KeyError(' '.join(words) if not columns else words[0])
        columns.append(name)
        words = words[count:]
    return columns


class Decision(NamedTuple):
    """A meaning and its sources: field -> 'the config', 'the table' or a file."""

    meaning: Meaning
    sources: dict[str, str]


def decide(
    path: Path,
    names: Sequence[str],
    sample: Callable[[], pd.DataFrame],
    given: Meaning | None,
) -> Decision:
    """The meaning of columns by the JSON file beside the table, a config, or the table.

    The file has priority. The config follows if the table has its columns; a table without one of
    them is another shop's, and its meaning is guessed. A column ``split`` of split names is used
    unless ``split`` is null.

    Args:
        path: of the table.
        names: columns of the table.
        sample: returns some rows of the table.
        given: meaning by the config, if any.

    Raises:
        KeyError, ValueError: the file is wrong or names an unknown column; the columns of images
            and captions are unknown.
    """
    beside = path.with_suffix('.json')
    file = _read(beside) if beside.is_file() else {}
    guessed = cache(lambda: guess_description(names, sample()))

    def guess(key: str) -> Any:
        return guessed().get(key)

    config = given or Meaning({}, '', {}, ())
    named = {name for name in config.columns.values() if name is not None}
    foreign = not named or not named <= set(names)
    choices: dict[str, Any] = {}
    sources: dict[str, str] = {}

    def choose(key: str, of_config: Any, of_table: Callable[[], Any]) -> None:
        if file.get(key) is not None:
            choices[key], sources[key] = file[key], str(beside)
        elif of_config:
            choices[key], sources[key] = of_config, 'the config'
        else:
            choices[key], sources[key] = of_table(), 'the table'

    choose('columns', None if foreign else config.columns, lambda: guess('columns'))
    caption = config.caption if not foreign or fits(config.caption, names) else None
    choose('caption', caption, lambda: guess('caption') if foreign else '')
    attributes = {key: name for key, name in config.attributes.items() if name in names}
    if foreign:
        attributes = {**(guess('attributes') or {}), **attributes}
    choose('attributes', attributes, dict)
    if foreign and sources['attributes'] == 'the config' and guess('attributes'):
        sources['attributes'] = 'the table, and the config'
    templates = [template for template in config.caption_templates if fits(template, names)]
    choose('caption_templates', templates, lambda: (foreign and guess('caption_templates')) or [])
    columns = dict(choices['columns'])
    if 'split' not in columns and (split := _split_column(path, names, sample)):
        columns['split'] = split
        sources['columns'] += f" and the table's own '{split}'"
    meaning = Meaning(
        {key: name for key, name in columns.items() if name is not None},
        choices['caption'],
        dict(choices['attributes']),
        tuple(choices['caption_templates']),
    )
    _check(meaning, path, names, guess)
    return Decision(meaning, sources)


def split_of(cell: str) -> str:
    """The split that a cell means, in any case and by its usual other names."""
    plain = cell.strip().lower()
    return _OTHER_SPLITS.get(plain, plain)


def _split_column(
    path: Path, names: Sequence[str], sample: Callable[[], pd.DataFrame]
) -> str | None:
    """The column ``split``, if it holds splits."""
    name = next((name for name in names if name.strip().lower() == 'split'), None)
    if name is None:
        return None
    cells = sample()[name]
    cells = cells[cells != ''].map(split_of)
    if len(cells) and cells.isin(SPLITS).mean() >= 0.5:
        return name
    print_log(
        f"{path}: column '{name}' is not read as the split, it holds "
        f'{", ".join(map(repr, cells.unique()[:3]))}; legal: {", ".join(SPLITS)}. A hash of the '
        'product id decides the split',
        'current',
        level=30,
    )
    return None


def fits(template: str, names: Sequence[str]) -> bool:
    """Whether a template names columns, all of them of the table."""
    try:
        return bool(Template(template, names).columns)
    except KeyError:
        return False


def known_columns(columns: Mapping[str, str | None], source: str) -> dict[str, str]:
    """``columns`` without None; KeyError for a missing ``image`` or an unknown key."""
    named = {key: column for key, column in columns.items() if column is not None}
    if set(named) - set(KEYS) or 'image' not in named:
        raise KeyError(
            f"{source}: columns needs 'image'; legal: {', '.join(KEYS)}; got {dict(columns)}"
        )
    return named


def _read(path: Path) -> dict[str, Any]:
    legal = ('attributes', 'caption', 'columns', 'caption_templates')
    content = read_json(str(path), 'it describes the columns of a table')
    if not isinstance(content, dict) or not content.keys() <= {*legal}:
        raise KeyError(f'{path}: an object with {", ".join(legal)} is needed, no other key')
    if 'columns' in content:
        known_columns(content['columns'], str(path))
    return content


def description_of(meaning: Meaning) -> dict[str, Any]:
    """A meaning as the content of the JSON file beside a table."""
    content = dict(meaning._asdict(), caption_templates=list(meaning.caption_templates))
    return {key: value for key, value in content.items() if value or key in ('columns', 'caption')}


def columns_read(meaning: Meaning, names: Sequence[str]) -> list[str]:
    """The columns that records are made of, those missing in ``names`` included."""
    named = (*meaning.columns.values(), *meaning.attributes.values())
    columns = [name for name in named if name is not None]
    for text in (meaning.caption, *meaning.caption_templates):
        try:
            columns += Template(text, names).columns
        except KeyError as error:
            columns.append(error.args[0])
    return columns


def _check(meaning: Meaning, path: Path, names: Sequence[str], guess: Callable[[str], Any]) -> None:
    """Refuse a meaning without images or captions, or with unknown columns."""
    file = path.with_suffix('.json')
    missing = [] if 'image' in meaning.columns else ['images']
    missing += [] if meaning.caption else ['captions']
    if missing:
        example = dict(
            columns={'image': 'WHICH?', **meaning.columns}, caption=meaning.caption or '{WHICH?}'
        )
        raise KeyError(
            f'{path}: unclear which column holds {" and ".join(missing)} ({", ".join(names)}); '
            f'write it to {file}: {json.dumps(example, ensure_ascii=False)}'
        )
    for name in columns_read(meaning, names):
        if name not in names:
            suggestion = {
                key: value
                for key in ('columns', 'caption', 'attributes', 'caption_templates')
                if (value := guess(key))
            }
            raise KeyError(
                f"{path} has no column '{name}'; it has {', '.join(names)}. Write their meaning to "
                f'{file}, perhaps: {json.dumps(suggestion, ensure_ascii=False)}'
            )
