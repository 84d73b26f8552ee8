"""What a table's columns mean: a file beside it, a config, or the table itself tells.

:func:`decide` is the only one who decides; training, check, page and search all ask it.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

import pandas as pd
from mmengine.logging import print_log

from mvlt.files import read_json
from mvlt.structures import CATEGORIES

KEYS = ('image', 'product_id', *CATEGORIES, 'split')
SPLITS = ('train', 'val', 'test')
_AUTOMATIC = 'decided_by_mvlt'  # in a file that a version before 0.2 wrote by itself
PICTURE = r'(?i)\.(?:jpe?g|png|webp|gif|bmp|tiff?|avif|heic|heif)\s*$'
ADDRESS = r'(?i)^\s*https?://'


class Meaning(NamedTuple):
    """What a table's columns mean.

    columns: key of ``KEYS`` -> column, None = there is none.
    caption: template over the columns.
    attributes: label -> column.
    wordings: templates as ``caption``.
    """

    columns: Mapping[str, str | None]
    caption: str
    attributes: dict[str, str]
    wordings: tuple[str, ...]


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
    templates = [template for template in config.wordings if fits(template, names)]
    choose('wordings', templates, lambda: (guess('wordings') if foreign else None) or [])
    columns = dict(choices['columns'])
    if 'split' not in columns and (split := _split_column(path, names, sample)):
        columns['split'] = split
        sources['columns'] += f" and the table's own '{split}'"
    meaning = Meaning(
        {key: name for key, name in columns.items() if name is not None},
        choices['caption'],
        dict(choices['attributes']),
        tuple(choices['wordings']),
    )
    _check(meaning, path, names, guess)
    return Decision(meaning, sources)


def _split_column(
    path: Path, names: Sequence[str], sample: Callable[[], pd.DataFrame]
) -> str | None:
    """The column that says which split a row belongs to, where one does."""
    name = next((name for name in names if name.strip().lower() in _USUAL['split']), None)
    if name is None:
        return None
    cells = sample()[name]
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
    legal = ('attributes', 'caption', 'columns', 'wordings')
    content = read_json(str(path), 'it describes the table beside it')
    if isinstance(content, dict) and content.get(_AUTOMATIC):
        print_log(
            f'{path} is not read: an earlier version wrote it by itself. Delete it; '
            'tools/check_dataset.py --write makes one that counts',
            'current',
            level=30,
        )
        return {}
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
    if meaning.wordings:
        content['wordings'] = list(meaning.wordings)
    return content


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
    wanted = [*found.columns.values(), *found.attributes.values()]
    for template in (found.caption, *found.wordings):
        try:
            wanted += Template(template, names).columns
        except KeyError as error:
            wanted.append(error.args[0])
    for name in wanted:
        if name not in names:
            suggestion = {
                key: value
                for key in ('columns', 'caption', 'attributes', 'wordings')
                if (value := guess(key))
            }
            raise KeyError(
                f"{path} has no column '{name}'; it has {', '.join(names)}. Say what they mean in "
                f'{perhaps}, perhaps: {json.dumps(suggestion, ensure_ascii=False)}'
            )


def guess_description(names: Sequence[str], sample: pd.DataFrame | None = None) -> dict[str, Any]:
    """What a JSON file beside a table would say, as its columns' names and cells suggest.

    Returns:
        ``columns``, ``caption`` ('' = not known) and, where columns show them, ``attributes`` and
        ``wordings``.
    """
    plain = {''.join(c for c in str(name).lower() if c.isalnum()): str(name) for name in names}
    found: dict[str, str] = {}
    if image := _image(plain, sample):
        found['image'] = image
    if name := next((plain[one] for one in _USUAL['product_id'] if one in plain), None):
        found['product_id'] = name
    # the two finest levels that there are
    levels = [name for one in _LEVELS if (name := next((plain[n] for n in one if n in plain), ''))]
    if len(levels) > 1:
        found.update(main_category=levels[-2], sub_category=levels[-1])
    elif levels:
        found['sub_category' if levels[0] in _named(plain, _LEVELS[2:]) else 'main_category'] = (
            levels[0]
        )
    found = {key: found[key] for key in KEYS if key in found}
    title = next((plain[one] for one in _USUAL['caption'] if one in plain), None)
    title = title or _wordiest(sample, {*found.values()})
    attributes = {
        label: next(plain[one] for one in usual if one in plain)
        for label, usual in _ATTRIBUTES.items()
        if plain.keys() & set(usual)
    }
    kind = found.get('sub_category', found.get('main_category'))
    fallback = [name for name in (attributes.get('brand'), attributes.get('colour'), kind) if name]
    caption = f'{{{title}}}' if title else ''
    if title and fallback and sample is not None and (sample[title] == '').any():
        caption = f'{{{title}|{" ".join(fallback)}}}'
    elif not title and fallback:
        caption = ' '.join(f'{{{name}}}' for name in fallback)
    description: dict[str, Any] = dict(columns=found, caption=caption)
    if attributes:
        description['attributes'] = attributes
    if kind:
        said = [[attributes[one] for one in wanted if one in attributes] for wanted in _SAID]
        phrases = [' '.join(f'{{{name}}}' for name in (*names, kind)) for names in said]
        description['wordings'] = list(dict.fromkeys(phrases))
    return description


def _image(plain: Mapping[str, str], sample: pd.DataFrame | None) -> str | None:
    """The column of pictures: by its name, unless its cells are addresses and another's files."""
    named = [plain[one] for one in _USUAL['image'] if one in plain]
    if sample is None or sample.empty:
        return next(iter(named), None)

    def share(name: str, pattern: str) -> float:
        cells = sample[name][sample[name] != '']
        return float(cells.str.contains(pattern).mean()) if len(cells) else 0.0

    files = [name for name in sample.columns if share(name, PICTURE) > 0.8]
    files = [name for name in files if share(name, ADDRESS) < 0.2]
    likely = [name for name in named if name in files]
    return next(iter([*likely, *files, *named]), None)


def _wordiest(sample: pd.DataFrame | None, aside: set[str]) -> str | None:
    """The column whose cells have most words and differ, one that could be a caption."""
    best: tuple[float, str | None] = (2.0, None)
    if sample is None or sample.empty:
        return None
    for name, cells in sample.items():
        if name in aside or cells.str.contains(ADDRESS).any() or cells.str.contains(PICTURE).any():
            continue
        words = cells.str.count(r'[^\W\d_]{2,}').mean()
        if words >= best[0] and cells.nunique() > len(cells) / 2:
            best = (words, str(name))
    return best[1]


def _named(plain: Mapping[str, str], groups: Sequence[Sequence[str]]) -> set[str]:
    return {plain[one] for group in groups for one in group if one in plain}


def has_addresses(cells: pd.Series) -> bool:
    """Whether a column of pictures holds addresses, not files."""
    return bool(cells.str.contains(ADDRESS).any())


def looks_like_several(cell: str) -> list[str]:
    """Pictures in one cell: ``a.jpg|b.jpg``; also by semicolons, line breaks and, if all have a
    picture's suffix, commas."""
    parts = [part for one in re.split(r'[|;\n]', cell) if (part := one.strip())]
    if len(parts) == 1:
        by_comma = [part for one in cell.split(',') if (part := one.strip())]
        if all(re.search(PICTURE, one) for one in by_comma):
            parts = by_comma
    return parts


# what shops call their columns, letters and digits only, the likeliest first
_USUAL = dict(
    image=(
        *('image', 'imagepath', 'imagefile', 'img', 'imgpath', 'picture', 'photo', 'filename'),
        *('images', 'pictures', 'photos', 'bild', 'bilddatei', 'foto', 'imagen', 'imagename'),
        *('imagelink', 'imageurl', 'imagesrc'),
    ),
    product_id=(
        *('productid', 'id', 'sku', 'articlenumber', 'itemid', 'handle', 'artikelnummer'),
        *('articleid', 'variantsku', 'itemgroupid', 'ref', 'referenz'),
    ),
    split=('split',),
    caption=(
        *('caption', 'title', 'productdisplayname', 'productname', 'name', 'description'),
        *('titel', 'bezeichnung', 'produktname', 'nom', 'nombre', 'bodyhtml'),
    ),
)
# levels of categories, the coarsest first
_LEVELS = (
    ('mastercategory', 'department', 'productgroup'),
    ('maincategory', 'category', 'categories', 'group', 'kategorie', 'productcategory'),
    ('subcategory', 'unterkategorie'),
    ('articletype', 'producttype', 'type', 'kind', 'produkttyp'),
)
_ATTRIBUTES = dict(
    colour=('basecolour', 'colour', 'color', 'maincolour', 'maincolor', 'farbe', 'couleur'),
    gender=('gender', 'sex', 'geschlecht'),
    season=('season', 'saison'),
    usage=('usage', 'occasion'),
    brand=('brand', 'vendor', 'marke', 'brandname'),
    material=('material', 'fabric'),
)
# attributes that a wording names before the kind of a product
_SAID = (('gender', 'colour'), ('colour',), ('gender',), (), ('usage',), ('season',))
