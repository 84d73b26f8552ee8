"""Broken and hostile files, and their readers."""

import csv
import json
import os
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import torch
from mmengine.runner import CheckpointLoader
from PIL import Image
from safetensors.torch import save_file

from mvlt.checkpoints import get_model
from mvlt.checkpoints.checkpoint import read_checkpoint, use_safe_files
from mvlt.config import load_config
from mvlt.datasets import (
    Catalogue,
    COCOCaptions,
    FashionGen,
    PairJSON,
    Tokenize,
    train_tokenizer,
)
from mvlt.datasets.candidate_files import read_candidates
from mvlt.datasets.transforms.loading import read_image
from mvlt.engine.loops.full import read_shard
from mvlt.files import file_sha256
from mvlt.tools.dataset_converters.released_to_json import read_plain_pickle
from tests.small_model import write_small_model

Read = Callable[[], Any]


class Case(NamedTuple):
    """A kind of file.

    make: folder -> its reader. named: text that the error must contain; '' = must be readable.
    """

    kind: str
    make: Callable[[Path], Read]
    named: str = ''


def outcome(case: Case, folder: Path) -> str:
    """'' if the reader behaves as expected, else the problem."""
    read = case.make(folder)
    try:
        read()
    except (OSError, ValueError, KeyError) as error:
        message = str(error)
        if case.named and case.named in message:
            return ''
        return f'{type(error).__name__}: {message}'
    except Exception as error:
        return f'{type(error).__name__}, which no tool reports in one line: {error}'
    return f'read, though {case.named} should be refused' if case.named else ''


class Runs:
    """An object whose unpickling makes a folder, as a stand-in for any code."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.marker,)


def _image(folder: Path, name: str, content: bytes | None) -> Read:
    if content is not None:
        (folder / name).write_bytes(content)
    return lambda: read_image(str(folder / name))


def _encoded(folder: Path, suffix: str, mode: str = 'RGB', **options: Any) -> bytes:
    path = folder / f'source{suffix}'
    Image.new(mode, (40, 30), 0).save(path, **options)
    return path.read_bytes()


def _bomb() -> bytes:
    """A PNG of 50 kB whose header claims 60,000 x 60,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        )

    header = struct.pack('>IIBBBBB', 60000, 60000, 8, 2, 0, 0, 0)
    rows = chunk(b'IDAT', zlib.compress(bytes(50_000_000)))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + rows + chunk(b'IEND', b'')


def _in_mode(mode: str, suffix: str) -> Callable[[Path], Read]:
    def make(folder: Path) -> Read:
        read = _image(folder, f'{mode}{suffix}', _encoded(folder, suffix, mode))
        return lambda: _expect(read().shape == (30, 40, 3))

    return make


def _rotated(folder: Path) -> Read:
    exif = Image.Exif()
    exif[0x0112] = 6  # camera held upright
    read = _image(folder, 'rotated.jpg', _encoded(folder, '.jpg', exif=exif))
    return lambda: _expect(read().shape == (40, 30, 3))


def _expect(condition: bool) -> None:
    if not condition:
        raise ValueError('read incorrectly')


def _catalogue(rows: list[dict[str, str]] | bytes, **settings: Any) -> Callable[[Path], Read]:
    """A catalogue with the image a.png."""

    def make(folder: Path) -> Read:
        Image.new('RGB', (40, 30)).save(folder / 'a.png')
        path = folder / 'products.csv'
        if isinstance(rows, bytes):
            path.write_bytes(rows)
        else:
            with open(path, 'w', newline='', encoding='utf-8') as file:
                writer = csv.DictWriter(file, rows[0])
                writer.writeheader()
                writer.writerows(rows)
        options = dict(
            ann_file='products.csv',
            data_root=str(folder),
            columns=dict(image='image', product_id='id'),
            caption='{title}',
            split='all',
        )
        return lambda: Catalogue(**{**options, **settings})

    return make


def _row(**cells: str) -> dict[str, str]:
    return dict(id='1', image='a.png', title='A shoe') | cells


def _description(folder: Path) -> Read:
    (folder / 'products.json').write_text('{"columns": {"image": ')
    settings = dict(data_root=str(folder), ann_file='products.csv', columns='guess')
    _catalogue([_row()])(folder)
    return lambda: Catalogue.decide(settings)


def _long_caption(folder: Path) -> Read:
    (folder / 'vocab.txt').write_text('[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nshoe\n')
    tokenize = Tokenize(max_length=64, tokenizer=str(folder))
    return lambda: _expect(len(tokenize(dict(caption='shoe ' * 10_000))['token_ids']) == 64)


def _tokenizer(content: str) -> Callable[[Path], Read]:
    def make(folder: Path) -> Read:
        (folder / 'vocab.txt').write_text(content)
        return lambda: Tokenize(max_length=8, tokenizer=str(folder)).tokenizer

    return make


def _fashion_gen(change: Callable[[h5py.File], None], cut: int = 0) -> Callable[[Path], Read]:
    def make(folder: Path) -> Read:
        path = folder / 'train.h5'
        with h5py.File(path, 'w') as file:
            file['input_image'] = np.zeros((4, 32, 32, 3), np.uint8)
            for name in ('category', 'subcategory', 'productID', 'name', 'description'):
                file[f'input_{name}'] = np.array([[f'{name} {i}'.encode()] for i in range(4)])
            change(file)
        if cut:
            path.write_bytes(path.read_bytes()[:-cut])
        return lambda: FashionGen(ann_file='train.h5', data_root=str(folder))

    return make


def _float_pixels(file: h5py.File) -> None:
    del file['input_image']
    file['input_image'] = np.full((4, 32, 32, 3), np.nan)


def _without_column(file: h5py.File) -> None:
    del file['input_name']


def _json(name: str, content: str, dataset: Callable[..., Any]) -> Callable[[Path], Read]:
    def make(folder: Path) -> Read:
        (folder / name).write_text(content)
        return lambda: dataset(ann_file=name, data_root=str(folder))

    return make


def _checkpoint(name: str, content: Callable[[Path], bytes]) -> Callable[[Path], Read]:
    def make(folder: Path) -> Read:
        (folder / name).write_bytes(content(folder))
        return lambda: read_checkpoint(str(folder / name))

    return make


def _saved(folder: Path, content: Any, **options: Any) -> bytes:
    torch.save(content, folder / 'saved', **options)
    return (folder / 'saved').read_bytes()


def _half(folder: Path) -> bytes:
    whole = _saved(folder, dict(a=torch.zeros(1000)))
    return whole[: len(whole) // 2]


def _cut_safetensors(folder: Path) -> bytes:
    save_file(dict(a=torch.zeros(1000)), folder / 'saved')
    return (folder / 'saved').read_bytes()[:-100]


def _nothing(file: h5py.File) -> None:
    """No change."""


PNG = b'\x89PNG\r\n\x1a\n'
BAD = [
    Case('truncated image', lambda f: _image(f, 'x.jpg', _encoded(f, '.jpg')[:300]), 'x.jpg'),
    Case('image of 0 bytes', lambda f: _image(f, 'x.jpg', b''), 'x.jpg'),
    Case('text as an image', lambda f: _image(f, 'x.jpg', b'hello'), 'x.jpg'),
    Case('PNG of noise', lambda f: _image(f, 'x.png', PNG + bytes(500)), 'x.png'),
    Case('no such image', lambda f: _image(f, 'x.jpg', None), 'x.jpg'),
    Case('decompression bomb', lambda f: _image(f, 'x.png', _bomb()), 'pixels'),
    Case('CMYK image', _in_mode('CMYK', '.jpg')),
    Case('palette image', _in_mode('P', '.png')),
    Case('16-bit image', _in_mode('I;16', '.png')),
    Case('transparent image', _in_mode('RGBA', '.png')),
    Case('grey image with transparency', _in_mode('LA', '.png')),
    Case('1-bit image', _in_mode('1', '.png')),
    Case('image rotated by EXIF', _rotated),
    Case('table in latin-1', _catalogue('id,image,title\n1,a.png,Hélène'.encode('latin-1'))),
    Case('table of 0 bytes', _catalogue(b''), 'products.csv'),
    Case('table without rows', _catalogue(b'id,image,title\n'), 'products.csv'),
    Case('comma in an unquoted text', _catalogue(b'id,image,title\n1,a.png,A, b\n'), 'row 2'),
    Case('missing column', _catalogue([_row()], caption='{colour}'), 'colour'),
    Case('empty caption', _catalogue([_row(title=' ')]), 'row 2'),
    Case('product without an id', _catalogue([_row(id='')]), 'row 2'),
    Case('missing image', _catalogue([_row(image='b.png')]), 'row 2'),
    Case('path out of the folder', _catalogue([_row(image='../../etc/passwd')]), 'below data_root'),
    Case('absolute path', _catalogue([_row(image='/etc/passwd')]), 'below data_root'),
    Case('truncated description', _description, 'products.json'),
    Case('caption of 10,000 tokens', _long_caption),
    Case('tokenizer without special tokens', _tokenizer('shoe\n'), 'vocab.txt'),
    Case('tokenizer of 0 bytes', _tokenizer(''), 'vocab.txt'),
    Case('truncated HDF5', _fashion_gen(_nothing, cut=3000), 'train.h5'),
    Case('HDF5 without a column', _fashion_gen(_without_column), 'input_name'),
    Case('HDF5 with NaN pixels', _fashion_gen(_float_pixels), 'float64'),
    Case('truncated JSON', _json('dataset_coco.json', '{"images": [', COCOCaptions), 'cut short'),
    Case('JSON of another layout', _json('x.json', '{"a": 1}', PairJSON), 'x.json'),
    Case(
        'JSON with wrong fields',
        _json('x.json', json.dumps(dict(records=[dict(image='a.png')])), PairJSON),
        'records[0]',
    ),
    Case('truncated checkpoint', _checkpoint('x.pth', _half), 'x.pth'),
    Case('checkpoint of 0 bytes', _checkpoint('x.pth', lambda f: b''), 'x.pth'),
    Case('text as a checkpoint', _checkpoint('x.pth', lambda f: b'hello'), 'x.pth'),
    Case('checkpoint of a list', _checkpoint('x.pth', lambda f: _saved(f, [1])), 'holds list'),
    Case('truncated safetensors', _checkpoint('x.safetensors', _cut_safetensors), 'x.safetensors'),
    Case('no such config', lambda f: lambda: load_config(f / 'x.py'), 'x.py'),
]


def hostile(marker: Path) -> list[Case]:
    """Pickles and code that would make the folder ``marker``; no reader may run them."""
    pickled = pickle.dumps(Runs(marker))

    def pickle_at(name: str, read: Callable[[Path], Any]) -> Callable[[Path], Read]:
        def make(folder: Path) -> Read:
            (folder / name).write_bytes(pickled)
            return lambda: read(folder)

        return make

    def objects(folder: Path) -> Read:
        path = folder / '0000000_0000002.npy'
        np.save(path, np.array([Runs(marker)], dtype=object), allow_pickle=True)
        return lambda: read_shard(folder, (0, 2))

    def config(folder: Path) -> Read:
        code = f'import os\nos.mkdir({str(marker)!r})\n'
        torch.save(dict(state_dict={}, meta=dict(config=code)), folder / 'x.pth')

        def read() -> None:
            use_safe_files()  # as a run does
            loaded = CheckpointLoader.load_checkpoint(str(folder / 'x.pth'))
            _expect('config' not in loaded['meta'])  # mmengine runs this code on resume

        return read

    def model_folder(folder: Path) -> Read:
        train_tokenizer(['a bag'], folder / 'tokenizer', 50)
        out = write_small_model(folder / 'model', folder / 'tokenizer')
        content = json.loads((out / 'config.json').read_text())
        content['model']['backbone'] = dict(type='os.mkdir', path=str(marker))
        (out / 'config.json').write_text(json.dumps(content))
        lines = (out / 'SHA256SUMS').read_text().splitlines()
        kept = [line for line in lines if not line.endswith('  config.json')]
        digest = file_sha256(out / 'config.json')
        (out / 'SHA256SUMS').write_text('\n'.join([*kept, f'{digest}  config.json']))
        return lambda: get_model(out)

    def trained(folder: Path) -> Read:
        code = f'import os\nos.mkdir({str(marker)!r})\n'
        torch.save(dict(state_dict={}, meta=dict(cfg=code)), folder / 'x.pth')
        return lambda: get_model(folder / 'x.pth')

    table: dict[str, Any] = dict(columns=dict(image='image'), caption='{title}', split='all')
    return [
        Case(
            'checkpoint', _checkpoint('x.pth', lambda f: _saved(f, dict(a=Runs(marker)))), 'x.pth'
        ),
        Case(
            'checkpoint of the old format',
            _checkpoint(
                'x.pth',
                lambda f: _saved(f, dict(a=Runs(marker)), _use_new_zipfile_serialization=False),
            ),
            'x.pth',
        ),
        Case(
            'bare pickle as a checkpoint',
            pickle_at('x.pth', lambda f: read_checkpoint(f'{f}/x.pth')),
            'x.pth',
        ),
        Case('code as the config of a checkpoint', config),
        Case(
            'pickle as safetensors',
            pickle_at('x.safetensors', lambda f: read_checkpoint(f'{f}/x.safetensors')),
            'x.safetensors',
        ),
        Case('a model folder that names a function', model_folder, 'os.mkdir'),
        Case("code as a checkpoint's training config", trained, 'x.pth'),
        Case('objects in a shard of scores', objects, '0000000_0000002.npy'),
        Case(
            'pickle as a table',
            pickle_at('x.csv', lambda f: Catalogue(ann_file='x.csv', data_root=str(f), **table)),
            'x.csv',
        ),
        Case(
            'pickle as Parquet',
            pickle_at(
                'x.parquet', lambda f: Catalogue(ann_file='x.parquet', data_root=str(f), **table)
            ),
            'x.parquet',
        ),
        Case(
            'pickle as annotations',
            pickle_at('x.json', lambda f: PairJSON(ann_file='x.json', data_root=str(f))),
            'x.json',
        ),
        Case(
            'pickle as HDF5',
            pickle_at('x.h5', lambda f: FashionGen(ann_file='x.h5', data_root=str(f))),
            'x.h5',
        ),
        Case(
            'pickle as a tokenizer',
            pickle_at('vocab.txt', lambda f: Tokenize(max_length=8, tokenizer=str(f)).tokenizer),
            'vocab.txt',
        ),
        Case(
            'pickle as a tokenizer',
            pickle_at(
                'tokenizer.json', lambda f: Tokenize(max_length=8, tokenizer=str(f)).tokenizer
            ),
            'tokenizer.json',
        ),
        Case(
            'pickle among released annotations',
            pickle_at('x.pkl', lambda f: read_plain_pickle(f / 'x.pkl')),
            'x.pkl',
        ),
        Case(
            'pickle as candidates',
            pickle_at('candidates.json', lambda f: read_candidates(f'{f}/candidates.json', [])),
            'candidates.json',
        ),
        Case('pickle as a image', pickle_at('x.jpg', lambda f: read_image(f'{f}/x.jpg')), 'x.jpg'),
    ]
