"""Forty awkward catalogues: which are accepted, which refused, with which messages.

    python -m tests.faults.awkward_tables > table.md

Each has the same 24 products, changed in one way. Accepted catalogues must give the captions and
images of the good one, except for reported omissions.
"""

import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from mmengine.logging import MMLogger
from PIL import Image

from mvlt.config import load_config
from mvlt.engine import resolve
from mvlt.registry import DATASETS

COUNT = 24
CONFIG = 'mvlt/pretrain_catalogue'
Change = Callable[[Path, pd.DataFrame], pd.DataFrame | None]


class Case(NamedTuple):
    """A changed catalogue.

    change: folder and table -> the table to write as ``products.csv``; None = already written.
    accepted: whether it should be accepted.
    rows: expected rows; None = one for each product.
    """

    name: str
    change: Change
    accepted: bool = True
    rows: int | None = None


def write_good(root: Path) -> pd.DataFrame:
    """Write images of 24 products in three categories; return their table."""
    (root / 'images').mkdir(parents=True)
    rows = []
    for i in range(COUNT):
        Image.new('RGB', (24, 32), (10 * i, 90, 255 - 10 * i)).save(root / f'images/p{i}.jpg')
        category = ('Shoe', 'Bag', 'Hat')[i % 3]
        rows.append(
            dict(
                id=f'{1000 + i}',
                image=f'images/p{i}.jpg',
                title=f'Élégant {category} number {i}, "new"; fine',
                colour=('Red', 'Blue')[i % 2],
                brand='Acme',
                category=category,
                price=f'{i}.50',
            )
        )
    return pd.DataFrame(rows, dtype=str)


def _csv(**options: Any) -> Change:
    encoding = options.pop('encoding', 'utf-8')
    before, end = options.pop('before', ''), options.pop('end', '\n')

    def change(root: Path, table: pd.DataFrame) -> None:
        text = before + table.to_csv(index=False, lineterminator=end, **options)
        (root / 'products.csv').write_bytes(text.encode(encoding))

    return change


def _cells(column: str, make: Callable[[str], str]) -> Change:
    return lambda root, table: table.assign(**{column: table[column].map(make)})


def _rename(**names: str) -> Change:
    return lambda root, table: table.rename(columns=names)


def _some(column: str, value: str, rows: range) -> Change:
    def change(root: Path, table: pd.DataFrame) -> pd.DataFrame:
        table.loc[list(rows), column] = value
        return table

    return change


def _images_missing(count: int) -> Change:
    def change(root: Path, table: pd.DataFrame) -> pd.DataFrame:
        for i in range(count):
            (root / f'images/p{i}.jpg').unlink()
        return table

    return change


def _file(suffix: str, write: Callable[[pd.DataFrame, Path], Any]) -> Change:
    def change(root: Path, table: pd.DataFrame) -> None:
        write(table, root / f'products{suffix}')

    return change


def _json_lines(table: pd.DataFrame, path: Path) -> None:
    path.write_text('\n'.join(json.dumps(row) for row in table.to_dict('records')))


def _views(root: Path, table: pd.DataFrame) -> pd.DataFrame:
    images = list(table['image'])
    table['image'] = [f'{first}|{second}' for first, second in zip(images, images[1:] + images[:1])]
    return table


def _upper(root: Path, table: pd.DataFrame) -> pd.DataFrame:
    for path in list((root / 'images').iterdir()):
        path.rename(path.with_suffix('.JPG'))
    return table


def _text(text: str) -> Change:
    return lambda root, table: (root / 'products.csv').write_text(text) and None


def _ragged(root: Path, table: pd.DataFrame) -> None:
    lines = table.to_csv(index=False, lineterminator='\n').splitlines()
    lines[3] = lines[3].rpartition(',')[0]
    (root / 'products.csv').write_text('\n'.join(lines))


def _unquoted(root: Path, table: pd.DataFrame) -> None:
    lines = table.drop(columns='title').to_csv(index=False, lineterminator='\n').splitlines()
    lines[4] = lines[4].replace('Acme', 'Acme, Inc., Ltd.')
    (root / 'products.csv').write_text('\n'.join(lines))


CASES = [
    Case('semicolons (Excel in Europe)', _csv(sep=';')),
    Case('tabs in a .csv', _csv(sep='\t')),
    Case('vertical bars', _csv(sep='|')),
    Case("a first line 'sep=;'", _csv(sep=';', before='sep=;\n')),
    Case('UTF-8 with a byte order mark', _csv(encoding='utf-8-sig')),
    Case('UTF-16', _csv(encoding='utf-16')),
    Case('cp1252 (Western Windows)', _csv(encoding='cp1252')),
    Case('semicolons in cp1252', _csv(sep=';', encoding='cp1252')),
    Case('line ends of Windows', _csv(end='\r\n')),
    Case('all cells quoted', _csv(quoting=1)),
    Case('.tsv', _file('.tsv', lambda table, path: table.to_csv(path, sep='\t', index=False))),
    Case('.xlsx', _file('.xlsx', lambda table, path: table.to_excel(path, index=False))),
    Case('.ods', _file('.ods', lambda table, path: table.to_excel(path, index=False))),
    Case('Parquet', _file('.parquet', lambda table, path: table.to_parquet(path))),
    Case('JSON lines', _file('.jsonl', _json_lines)),
    Case(
        'a file of another name',
        lambda root, table: table.to_csv(root / 'export-2026-11.csv', index=False),
    ),
    Case('backslashes', _cells('image', lambda cell: cell.replace('/', '\\'))),
    Case(
        'paths of a Windows machine',
        _cells('image', lambda cell: 'C:\\shop\\' + cell.replace('/', '\\')),
    ),
    Case('file names without their folder', _cells('image', lambda cell: cell.split('/')[1])),
    Case('no suffix', _cells('image', lambda cell: cell[:-4])),
    Case('another case of the suffix', _upper),
    Case('blanks around cells', _cells('image', lambda cell: f' {cell}  ')),
    Case('several images in a cell', _views, rows=2 * COUNT),
    Case(
        'German names of columns',
        _rename(id='Artikelnummer', image='Bild', title='Titel', colour='Farbe'),
    ),
    Case("Shopify's column names", _rename(id='Handle', title='Title', category='Type')),
    Case('images in a column with an unknown name', _rename(image='f1')),
    Case('captions in a column with an unknown name', _rename(title='t1')),
    Case('HTML in captions', _cells('title', lambda cell: f'<p><b>{cell}</b></p>')),
    Case('cells of a megabyte', lambda root, table: table.assign(more='word ' * 200_000)),
    Case('some captions are empty', _some('title', '', range(3))),
    Case('all captions are empty', _some('title', '', range(COUNT))),
    Case('one image is missing', _images_missing(1), rows=COUNT - 1),
    Case('unknown categories', _some('category', '', range(5))),
    Case('a row with too few cells', _ragged),
    Case('equal rows', lambda root, table: pd.concat([table, table[:2]]), rows=COUNT + 2),
    Case('different products with one id', _some('id', '7', range(10))),
    Case('half of the images are missing', _images_missing(12), accepted=False),
    Case('a text with commas without quotes', _unquoted, accepted=False),
    Case(
        'URLs instead of image files',
        _cells('image', lambda cell: f'https://shop.example/{cell}'),
        accepted=False,
    ),
    Case('no column of images', lambda root, table: table.drop(columns='image'), accepted=False),
    Case('an id is missing', _some('id', '', range(1)), accepted=False),
    Case(
        'a quote that is not closed', _text('id,image,title\n1,images/p1.jpg,"a\n'), accepted=False
    ),
]


class Outcome(NamedTuple):
    """Captions by image name (None = refused), number of rows, log lines."""

    captions: dict[str, str] | None
    rows: int
    lines: list[str]


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def try_case(case: Case, root: Path) -> Outcome:
    """Open the catalogue as training does and read every image."""
    table = case.change(root, write_good(root))
    if isinstance(table, pd.DataFrame):
        table.to_csv(root / 'products.csv', index=False)
    log = _Lines()
    logger = MMLogger.get_instance(f'awkward {root.name}', log_level='INFO')
    logger.handlers = [log]
    try:
        config = resolve(load_config(CONFIG, data_root=str(root)), 'data')
        settings = config.train_dataloader.dataset
        dataset = DATASETS.build(dict(settings.dataset, split='all', pipeline=[]))
        records = [dataset.get_data_info(i) for i in range(len(dataset))]
    except (KeyError, ValueError, OSError) as error:
        line = str(error.args[0] if isinstance(error, KeyError) else error)
        return Outcome(None, 0, [*log.messages, line])
    captions = {}
    for record in records:
        with Image.open(record['img_path']) as opened:
            opened.load()
        captions[Path(record['img_path']).stem] = record['caption']
    return Outcome(captions, len(records), log.messages)


def main() -> None:
    """Print the table."""
    print('| catalogue | | messages |\n|---|---|---|')
    for number, case in enumerate(CASES):
        folder = Path(tempfile.mkdtemp())
        outcome = try_case(case, folder / f'shop{number}')
        lines = [line.replace(f'{folder}/shop{number}', 'SHOP') for line in outcome.lines]
        lines = [line.replace('|', '\\|') for line in lines if 'written, what' not in line]
        verdict = 'refused' if outcome.captions is None else f'accepted, {outcome.rows} rows'
        print(f'| {case.name} | {verdict} | {"<br>".join(lines) or "-"} |')
        shutil.rmtree(folder)


if __name__ == '__main__':
    main()
