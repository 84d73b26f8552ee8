"""Write the pairs of a config's split as tar shards (WebDataset's layout).

    tools/dataset_converters/to_shards.py CONFIG SHARDS --data-root MY_CATALOGUE

Writes SHARDS/train-000000.tar, ... of at most --samples pairs. To read them, set dataset type
TarPairs and ann_file='train-*.tar'. JPEG files are copied, other images are written as PNG. Needs
webdataset: pip install webdataset
"""

import argparse
import io
from pathlib import Path
from typing import Any

from PIL import Image

from mvlt.config import load_config
from mvlt.datasets.inputs import to_array
from mvlt.engine import resolve
from mvlt.registry import DATASETS
from mvlt.structures import CATEGORIES
from mvlt.tools.command_line import run_command

LOADERS = dict(train='train_dataloader', val='val_dataloader', test='test_dataloader')


def main() -> None:
    """Parse, write, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('out', type=Path, help='the folder of the shards')
    parser.add_argument('--split', choices=LOADERS, default='train')
    parser.add_argument('--data-root')
    parser.add_argument('--samples', type=int, default=10000, help='pairs a shard')
    args = parser.parse_args()
    config = resolve(load_config(args.config, data_root=args.data_root), 'data')
    settings = config[LOADERS[args.split]].dataset
    while 'dataset' in settings:
        settings = settings.dataset
    dataset = DATASETS.build(settings)
    print(f'{write(dataset, args.out, args.split, args.samples)} pairs in {args.out}')


def write(dataset: Any, out: Path, split: str, samples: int) -> int:
    """Number of pairs written.

    Args:
        dataset: a :class:`mvlt.datasets.PairDataset`.
        out: the folder, without shards of this split.
        split: begins the file names.
        samples: pairs a shard.

    Raises:
        FileExistsError: the folder has such shards.
    """
    try:
        from webdataset import ShardWriter
    except ImportError as error:
        raise ImportError('writing shards needs webdataset: pip install webdataset') from error
    if any(out.glob(f'{split}-*.tar')):
        raise FileExistsError(f'{out}: has {split}-*.tar; delete them, or name another folder')
    out.mkdir(parents=True, exist_ok=True)
    names = {
        key: dataset.metainfo[key]
        for key in (*CATEGORIES, *getattr(dataset, 'attributes', ()))
        if key in dataset.metainfo
    }
    with ShardWriter(str(out / f'{split}-%06d.tar'), maxcount=samples, verbose=0) as writer:
        for row in range(len(dataset)):
            record = dataset.load(dataset.get_data_info(row))
            labels = {
                key: classes[record[key]] if record[key] >= 0 else ''
                for key, classes in names.items()
            }
            table = dict(caption=record['caption'], product_id=record['product_id'], **labels)
            if 'other_captions' in record:
                table['other_captions'] = '\n'.join(record['other_captions'])
            writer.write({'__key__': f'{row:09d}', 'json': table, **_image(record)})
    return len(dataset)


def _image(record: dict) -> dict[str, bytes]:
    path = Path(record.get('img_path', ''))
    if 'img' not in record and path.suffix.lower() in ('.jpg', '.jpeg'):
        return dict(jpg=path.read_bytes())
    content = io.BytesIO()
    Image.fromarray(record['img'] if 'img' in record else to_array(path)).save(content, 'PNG')
    return dict(png=content.getvalue())


if __name__ == '__main__':
    run_command(main)
