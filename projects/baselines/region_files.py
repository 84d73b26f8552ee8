"""Convert bottom-up attention's region features to the HDF5 file of LoadRegions.

    python -m projects.baselines.region_files FEATURES.tsv [MORE.tsv ...] regions.h5

The files (Anderson et al., 2018) are tab-separated: image_id, image_w, image_h, num_boxes, boxes
and features, the last two as base64 of float32. All images need the same number of boxes (36).
"""

import argparse
import base64
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from mvlt.tools.command_line import run_command

FIELDS = ('image_id', 'image_w', 'image_h', 'num_boxes', 'boxes', 'features')


def read_regions(path: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Id, features (N, D) and boxes (N, 4) in 0..1 of each image.

    Raises:
        ValueError: an unreadable row.
    """
    csv.field_size_limit(sys.maxsize)
    with open(path, encoding='utf-8', newline='') as file:
        for row, cells in enumerate(csv.DictReader(file, FIELDS, delimiter='\t'), 1):
            try:
                count = int(cells['num_boxes'])
                arrays = [
                    np.frombuffer(base64.b64decode(cells[name]), np.float32).reshape(count, -1)
                    for name in ('features', 'boxes')
                ]
                sides = np.array([int(cells['image_w']), int(cells['image_h'])] * 2, np.float32)
                yield cells['image_id'], arrays[0], arrays[1] / sides
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f'{path}, row {row}: {error}; expected, by tabs: {", ".join(FIELDS)}'
                ) from error


def write_regions(paths: Sequence[str], out: str) -> int:
    """Write the file, whole or not at all; return the number of images.

    Raises:
        ValueError: no images, or different numbers of boxes.
    """
    partial = Path(f'{out}.partial')
    count = 0
    try:
        with h5py.File(partial, 'w') as file:
            for path in paths:
                for name, features, boxes in read_regions(path):
                    arrays = dict(
                        ids=np.array(name.encode(), 'S64'), features=features, boxes=boxes
                    )
                    for key, array in arrays.items():
                        if key not in file:
                            file.create_dataset(
                                key,
                                (0, *array.shape),
                                array.dtype,
                                maxshape=(None, *array.shape),
                                chunks=(1, *array.shape),  # one read for a product
                            )
                        if file[key].shape[1:] != array.shape:
                            raise ValueError(
                                f'{path}, image {name}: {key} {array.shape}, earlier images '
                                f'{file[key].shape[1:]}; extract as many boxes of each image'
                            )
                        file[key].resize(count + 1, 0)
                        file[key][count] = array
                    count += 1
        if not count:
            raise ValueError(f'{", ".join(paths)}: no images in these files')
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return count


def main() -> None:
    """Convert."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('files', nargs='+', help='tab-separated files')
    parser.add_argument('out', help='the HDF5 file to write')
    args = parser.parse_args()
    print(f'{args.out}: regions of {write_regions(args.files, args.out)} images')


if __name__ == '__main__':
    run_command(main)
