"""Images a second that one core feeds to a model, by storage and by size.

    tools/benchmark_feeding.py configs/mvlt/pretrain_catalogue.py --data-root MY_CATALOGUE

Images of the config's test split run through its pipeline (decode, resize, tokenize, pack) in one
process and one thread: JPEG files, tar shards (TarPairs), arrays in an HDF5 file, and JPEG files of
four times the side, decoded at full and at reduced scale (LoadImage.draft).
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from PIL import Image

from mvlt.config import load_config
from mvlt.datasets import Pipeline, TarPairs
from mvlt.engine import resolve
from mvlt.registry import DATASETS
from mvlt.tools.command_line import run_command
from mvlt.tools.dataset_converters.to_shards import write


def main() -> None:
    """Parse, write the other layouts, time, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('--data-root', required=True)
    parser.add_argument('--images', type=int, default=800)
    parser.add_argument('--repeat', type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    read = load_config(args.config, data_root=args.data_root)
    settings = resolve(read, 'data').test_dataloader.dataset.to_dict()
    settings['pipeline'] = {**settings['pipeline'], 'load': dict(type='LoadImage')}
    side = min(settings['pipeline']['resize']['scale'])
    dataset = DATASETS.build(settings)
    rows = range(min(args.images, len(dataset)))
    records = [dataset.get_data_info(row) for row in rows]
    drafting = Pipeline(
        {**settings['pipeline'], 'load': dict(type='LoadImage', side=side, draft=True)}
    )
    with tempfile.TemporaryDirectory() as folder:
        write(dataset, Path(folder), 'test', 1000)
        shards = TarPairs(
            data_root=folder, ann_file='test-*.tar', pipeline=settings['pipeline'], test_mode=True
        )
        arrays = h5py.File(_as_arrays(records, Path(folder, 'images.h5')), 'r')['images']
        large = [
            _enlarged(record, Path(folder, f'{row}.jpg')) for row, record in zip(rows, records)
        ]
        jobs: dict[str, Callable[[int], Any]] = {
            'JPEG files': dataset.prepare_data,
            'tar shards': shards.prepare_data,
            'HDF5, arrays': lambda row: dataset.pipeline(dict(records[row], img=arrays[row])),
            'JPEG files, four times the side': lambda row: dataset.pipeline(dict(large[row])),
            'the same, reduced scale': lambda row: drafting(dict(large[row])),
        }
        print(f'| to {side} pixels, one core | images/s |\n|---|---|')
        for name, read in jobs.items():
            print(f'| {name} | {_rate(read, rows, args.repeat):.0f} |', flush=True)


def _rate(read: Callable[[int], Any], rows: range, repeat: int) -> float:
    rate = 0.0
    for _ in range(repeat):
        started = time.perf_counter()
        for row in rows:
            read(row)
        rate = max(rate, len(rows) / (time.perf_counter() - started))
    return rate


def _as_arrays(records: list[dict], path: Path) -> Path:
    """All images in the size of the first, one chunk an image, as in Fashion-Gen's files."""
    size = Image.open(records[0]['img_path']).size
    with h5py.File(path, 'w') as file:
        shape = (len(records), size[1], size[0], 3)
        made = file.create_dataset('images', shape, np.uint8, chunks=(1, *shape[1:]))
        for row, record in enumerate(records):
            with Image.open(record['img_path']) as opened:
                made[row] = np.asarray(opened.convert('RGB').resize(size))
    return path


def _enlarged(record: dict, path: Path) -> dict:
    with Image.open(record['img_path']) as opened:
        opened.convert('RGB').resize((4 * opened.width, 4 * opened.height)).save(path, quality=90)
    return dict(record, img_path=str(path))


if __name__ == '__main__':
    run_command(main)
