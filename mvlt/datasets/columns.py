"""What a table's columns mean: a file beside it, a config, or the table itself tells.

:func:`decide` is the only one who decides; training, check, page and search all ask it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
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
    """What a table's columns mean.

    columns: key of ``KEYS`` -> column, None = there is none.
    caption: template over the columns.
    attributes: label -> column.
    caption_templates: templates as ``caption``.
    """

    columns: Mapping[str, str | None]
    caption: str
    attributes: dict[str, str]
    caption_templates: tuple[str, ...]


class Template:
    """A text with places for a product's cells: ``{title}. {colour}``.

    ``{title|brand kind}`` is the title or, where that is unknown, brand and kind.

    Args:
        text: the template.
        names: the table's columns.

    Raises:
        KeyError: a place names no column.
        ValueError: a brace is not closed.
    """

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self.text = text
        self.parts: list[tuple[str, list[list[str]]]] = []
        try:
            parsed = list(Formatter().parse(text))
        except ValueError as error:
            raise ValueError(f"caption template '{text}': {error}") from error
        for literal, field, spec, conversion in parsed:
            if field is None:
                self.parts.append((literal, []))
                continue
            # a column's name may hold what means something in Python's format strings
            field += f'!{conversion}' if conversion else ''
            field += f':{spec}' if spec else ''
            choices = [field] if field in names else field.split('|')
            self.parts.append((literal, [_columns_in(one.strip(), names) for one in choices]))

    @property
    def columns(self) -> list[str]:
        """The columns that it reads."""
        return [name for _, choices in self.parts for one in choices for name in one]

    def fill(self, cells: Mapping[str, str], missing: frozenset[str]) -> str:
        """With a product's cells; '' where no letter or digit is left."""
        found = []
        for literal, choices in self.parts:
            known = (
                ' '.join(cells[name] for name in one if cells[name] not in missing)
                for one in choices
            )
            found += [literal, next(filter(None, known), '')]
        words = ' '.join(''.join(found).split()).strip(' ,.;')
        return words if any(character.isalnum() for character in words) else ''


def _columns_in(text: str, names: Sequence[str]) -> list[str]:
    """Columns that stand one behind the other in a text; names may have blanks themselves."""
    words = text.split(' ')
    found: list[str] = []
    while words:
        for count in range(len(words), 0, -1):
            if (name := ' '.join(words[:count])) in names:
                break
        else:
            raise KeyError(' '.join(words) if not found else words[0])
        found.append(name)
        words = words[count:]
    return found


class Decision(NamedTuple):
    """What a table's columns mean, and who says so.

    sources: field of :class:`Meaning` -> 'the config', 'the table' or a file.
    """

    meaning: Meaning
    sources: dict[str, str]


def decide(
    path: Path,
    names: Sequence[str],
    sample: Callable[[], pd.DataFrame],
    given: Meaning | None,
) -> Decision:
    """What the columns mean: the JSON file beside the table, else a config, else the table itself.

    What the file does not say is the config's where the table has the config's columns; a table
    that lacks one of them is another shop's, and is guessed. A column ``split`` that holds splits
    is read unless ``split`` is null. Nothing is written.

    Args:
        path: of the table.
        names: its columns.
        sample: gives some of its rows.
        given: what a config says; a column may be None, there is none then. None = nothing.

    Raises:
        KeyError, ValueError: the file is wrong or names no column; nothing tells which columns hold
            pictures and captions.
    """
    beside = path.with_suffix('.json')
    file = _read(beside) if beside.is_file() else {}
    guessed: dict[str, Any] = {}

    def guess(key: str) -> Any:
        if not guessed:
            guessed.update(guess_description(names, sample()))
        return guessed.get(key)

    config = given or Meaning({}, '', {}, ())
    foreign = not _has(names, config)
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
    attributes = {label: name for label, name in config.attributes.items() if name in names}
    if foreign:
        attributes = {**(guess('attributes') or {}), **attributes}
    choose('attributes', attributes, dict)
    if foreign and sources['attributes'] == 'the config' and guess('attributes'):
        sources['attributes'] = 'the table, and the config'
    templates = [template for template in config.caption_templates if fits(template, names)]
    choose(
        'caption_templates',
        templates,
        lambda: (guess('caption_templates') if foreign else None) or [],
    )
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
    """The split that a cell means: in any letters, and by its usual other names."""
    plain = cell.strip().lower()
    return _OTHER_SPLITS.get(plain, plain)


def _split_column(
    path: Path, names: Sequence[str], sample: Callable[[], pd.DataFrame]
) -> str | None:
    """The column that says which split a row belongs to, where one does."""
    name = next((name for name in names if name.strip().lower() == 'split'), None)
    if name is None:
        return None
    cells = sample()[name]
    cells = cells[cells != ''].map(split_of)
    if len(cells) and cells.isin(SPLITS).mean() >= 0.5:
        return name
    print_log(
        f"{path}: column '{name}' is not read as the split, it holds "
        f'{", ".join(map(repr, cells.unique()[:3]))}; legal: {", ".join(SPLITS)}. The split '
        'follows a hash of the product id',
        'current',
        level=30,
    )
    return None


def _has(names: Sequence[str], given: Meaning) -> bool:
    """Whether a table has the columns that a config names."""
    needed = {name for name in given.columns.values() if name is not None}
    return bool(needed) and needed <= set(names)


def fits(template: str, names: Sequence[str]) -> bool:
    """Whether a table has all columns of a template that names some."""
    try:
        return bool(Template(template, names).columns)
    except KeyError:
        return False


def known_columns(columns: Mapping[str, str | None], source: str) -> dict[str, str]:
    """Those of ``columns`` that there are.

    Raises:
        KeyError: ``image`` is missing, or a key is unknown.
    """
    found = {key: column for key, column in columns.items() if column is not None}
    if set(found) - set(KEYS) or 'image' not in found:
        raise KeyError(
            f"{source}: columns needs 'image' and knows {', '.join(KEYS)}; got {dict(columns)}"
        )
    return found


def _read(path: Path) -> dict[str, Any]:
    legal = ('attributes', 'caption', 'columns', 'caption_templates')
    content = read_json(str(path), 'it describes the table beside it')
    if not isinstance(content, dict) or not content.keys() <= {*legal}:
        raise KeyError(f'{path}: an object with {", ".join(legal)} is needed, no other key')
    if 'columns' in content:
        known_columns(content['columns'], str(path))
    return content


def description_of(meaning: Meaning) -> dict[str, Any]:
    """What the JSON file beside a table says of it."""
    content: dict[str, Any] = dict(columns=meaning.columns, caption=meaning.caption)
    if meaning.attributes:
        content['attributes'] = meaning.attributes
    if meaning.caption_templates:
        content['caption_templates'] = list(meaning.caption_templates)
    return content


def columns_read(meaning: Meaning, names: Sequence[str]) -> list[str]:
    """The columns that records are made of, those too that are not among a table's ``names``."""
    named = (*meaning.columns.values(), *meaning.attributes.values())
    columns = [name for name in named if name is not None]
    for text in (meaning.caption, *meaning.caption_templates):
        try:
            columns += Template(text, names).columns
        except KeyError as error:
            columns.append(error.args[0])
    return columns


def _check(found: Meaning, path: Path, names: Sequence[str], guess: Callable[[str], Any]) -> None:
    """Every column that is named is there, and the ones that no model can do without."""
    perhaps = path.with_suffix('.json')
    if 'image' not in found.columns or not found.caption:
        lacking = ' and '.join(
            what
            for what, there in (
                ('pictures', 'image' in found.columns),
                ('captions', bool(found.caption)),
            )
            if not there
        )
        example = dict(
            columns={'image': 'WHICH?', **found.columns}, caption=found.caption or '{WHICH?}'
        )
        raise KeyError(
            f'{path}: which column holds {lacking} does not show ({", ".join(names)}); say so in '
            f'{perhaps}: {json.dumps(example, ensure_ascii=False)}'
        )
    for name in columns_read(found, names):
        if name not in names:
            suggestion = {
                key: value
                for key in ('columns', 'caption', 'attributes', 'caption_templates')
                if (value := guess(key))
            }
            raise KeyError(
                f"{path} has no column '{name}'; it has {', '.join(names)}. Say what they mean in "
                f'{perhaps}, perhaps: {json.dumps(suggestion, ensure_ascii=False)}'
            )
