"""Guesses of what a table's columns hold, by their names and first cells."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mvlt.structures import CATEGORIES

KEYS = ('image', 'product_id', *CATEGORIES, 'split')
IMAGE = r'(?i)\.(?:jpe?g|png|webp|gif|bmp|tiff?|avif|heic|heif)\s*$'
ADDRESS = r'(?i)^\s*https?://'


def guess_description(names: Sequence[str], sample: pd.DataFrame) -> dict[str, Any]:
    """Guess the content of the JSON file beside a table.

    Returns:
        ``columns``, ``caption`` ('' = unknown) and, if columns suggest them, ``attributes`` and
        ``caption_templates``.
    """
    plain = _plain(names)

    def first(words: Sequence[str]) -> str:
        return next((plain[word] for word in words if word in plain), '')

    columns = dict(image=_image(plain, sample), product_id=first(_NAMES['product_id']))
    levels = [*filter(None, map(first, _LEVELS))]
    if len(levels) > 1:  # the two finest
        columns.update(main_category=levels[-2], sub_category=levels[-1])
    elif levels:
        fine = {plain.get(word) for words in _LEVELS[2:] for word in words}
        columns['sub_category' if levels[0] in fine else 'main_category'] = levels[0]
    columns = {key: name for key in KEYS if (name := columns.get(key))}
    title = first(_NAMES['caption']) or _wordiest(sample, {*columns.values()})
    attributes = {key: name for key, words in _ATTRIBUTES.items() if (name := first(words))}
    kind = columns.get('sub_category', columns.get('main_category'))
    fallback = [name for name in (attributes.get('brand'), attributes.get('colour'), kind) if name]
    caption = f'{{{title}}}' if title else ''
    if title and fallback and (sample[title] == '').any():
        caption = f'{{{title}|{" ".join(fallback)}}}'
    elif not title and fallback:
        caption = ' '.join(f'{{{name}}}' for name in fallback)
    description: dict[str, Any] = dict(columns=columns, caption=caption)
    if attributes:
        description['attributes'] = attributes
    if kind:
        templates = []
        for keys in _TEMPLATES:
            fields = [*(attributes[key] for key in keys if key in attributes), kind]
            templates.append(' '.join(f'{{{name}}}' for name in fields))
        description['caption_templates'] = list(dict.fromkeys(templates))
    return description


def brand_column(names: Sequence[str]) -> str | None:
    """The column that holds brands, by its name."""
    plain = _plain(names)
    return next((plain[word] for word in _ATTRIBUTES['brand'] if word in plain), None)


def _plain(names: Sequence[str]) -> dict[str, str]:
    """Letters and digits of each column's name -> the name."""
    return {''.join(c for c in str(name).lower() if c.isalnum()): str(name) for name in names}


def _image(plain: Mapping[str, str], sample: pd.DataFrame) -> str:
    """The column of images by its name, unless it holds URLs and another column files."""
    named = [plain[word] for word in _NAMES['image'] if word in plain]
    if sample.empty:
        return next(iter(named), '')

    def share(name: str, pattern: str) -> float:
        cells = sample[name][sample[name] != '']
        return float(cells.str.contains(pattern).mean()) if len(cells) else 0.0

    files = [name for name in sample.columns if share(name, IMAGE) > 0.8]
    files = [name for name in files if share(name, ADDRESS) < 0.2]
    likely = [name for name in named if name in files]
    return next(iter([*likely, *files, *named]), '')


def _wordiest(sample: pd.DataFrame, other: set[str]) -> str:
    """The column with most words a cell, at least two, and mostly different cells."""
    best = 2.0, ''
    if sample.empty:
        return ''
    for name, cells in sample.items():
        if name in other or cells.str.contains(ADDRESS).any() or cells.str.contains(IMAGE).any():
            continue
        words = cells.str.count(r'[^\W\d_]{2,}').mean()
        if words >= best[0] and cells.nunique() > len(cells) / 2:
            best = (words, str(name))
    return best[1]


def has_addresses(cells: pd.Series) -> bool:
    """Whether a column of images holds URLs, not files."""
    return bool(cells.str.contains(ADDRESS).any())


def looks_like_several(cell: str) -> list[str]:
    """Images of a cell, separated by ``|``, semicolons, line breaks or, if all have an image's
    suffix, commas."""
    parts = [part for text in re.split(r'[|;\n]', cell) if (part := text.strip())]
    if len(parts) == 1:
        by_comma = [part for text in cell.split(',') if (part := text.strip())]
        if all(re.search(IMAGE, part) for part in by_comma):
            parts = by_comma
    return parts


# names of columns in shops' tables, letters and digits only, the likeliest first
_NAMES = dict(
    image=(
        *('image', 'imagepath', 'imagefile', 'img', 'imgpath', 'picture', 'photo', 'filename'),
        *('images', 'pictures', 'photos', 'bild', 'bilddatei', 'foto', 'imagen', 'imagename'),
        *('imagelink', 'imageurl', 'imagesrc'),
    ),
    product_id=(
        *('productid', 'id', 'sku', 'articlenumber', 'itemid', 'handle', 'artikelnummer'),
        *('articleid', 'variantsku', 'itemgroupid', 'ref', 'referenz'),
    ),
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
# attributes that a caption template names before the category
_TEMPLATES = (('gender', 'colour'), ('colour',), ('gender',), (), ('usage',), ('season',))
