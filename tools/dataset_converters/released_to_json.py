"""Convert the released code's processed Fashion-Gen folder to JSON, once.

    tools/dataset_converters/released_to_json.py FOLDER [--check]

FOLDER holds ``extracted_{train,valid}_images/*.png`` and ``full_{train,valid}_info_PAI/*.pkl``, one
pickle an image. Writes FOLDER/train.json and FOLDER/valid.json for mvlt.datasets.PairJSON. If
retrieve_TIR and retrieve_ITR exist, it also writes FOLDER/candidates.json with their lists of 101,
for test_cfg.candidates of a retrieval config. A pickle can call any function, so this reader
refuses every pickle that asks for a class.
"""

import argparse
import pickle
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich.progress import track

from mvlt.datasets.candidate_files import DIRECTIONS, row_ids
from mvlt.files import write_json
from mvlt.tools.command_line import run_command
from mvlt.tools.dataset_converters.make_candidates import candidate_file

SPLITS = ('train', 'valid')
# key in a pickle -> key of a record (PairJSON)
KEYS = dict(
    img_name='image',
    captions='caption',
    product_id='product_id',
    super_cls_name='main_category',
    sub_cls_name='sub_category',
)


class _PlainUnpickler(pickle.Unpickler):
    """Refuses every class: containers, strings and numbers need none."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f'it asks for {module}.{name}')

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError('it refers to something outside the file')


def read_plain_pickle(path: Path) -> Any:
    """Content of a pickle of plain containers, strings and numbers.

    Raises:
        ValueError: it asks for a class or a function, or is cut short.
    """
    try:
        with open(path, 'rb') as file:
            return _PlainUnpickler(file).load()
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'{path}: refused ({error}): a pickle may hold containers, strings and numbers, and '
            'must be whole'
        ) from error
    except (EOFError, IndexError, KeyError, ValueError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f'{path}: not a readable pickle, perhaps cut short ({error})') from error


def read_released(root: str | Path, split: str) -> Iterator[dict[str, str]]:
    """Records of a processed folder for :class:`mvlt.datasets.PairJSON`.

    Args:
        root: the folder with ``full_<split>_info_PAI`` and ``extracted_<split>_images``.
        split: 'train' or 'valid'.

    Raises:
        FileNotFoundError, KeyError, ValueError: a folder, an image or a key is missing, a caption
            is empty, or a pickle is refused; the message names the file.
    """
    root = Path(root)
    folder, images = root / f'full_{split}_info_PAI', f'extracted_{split}_images'
    for needed in (folder, root / images):
        if not needed.is_dir():
            raise FileNotFoundError(
                f'{needed}: no such folder; the released code keeps full_<split>_info_PAI and '
                'extracted_<split>_images side by side, with train and valid for <split>'
            )
    paths = sorted(folder.glob('*.pkl'))
    if not paths:
        raise FileNotFoundError(f'{folder}: no .pkl file in it')
    for path in paths:
        yield _record(path, root, images)


def read_released_lists(
    root: str | Path, records: Sequence[dict[str, str]]
) -> dict[str, list[list[str]]]:
    """The released lists of 101, ``retrieve_TIR/*.pkl`` and ``retrieve_ITR/*.pkl``, as ids.

    A pickle holds a dict of entries, the positive first. The ``img_name`` of each is looked up
    among the records of the validation split.

    Args:
        root: the processed folder.
        records: of :func:`read_released` for 'valid', in the same order.

    Returns:
        ``tir`` and ``itr``: lists of row ids (:mod:`mvlt.datasets.candidate_files`), without a
        direction whose folder is missing.

    Raises:
        ValueError: a pickle is refused, has another layout, or names an unknown image; the message
            names the file.
    """
    ids = {Path(record['image']).name: name for record, name in zip(records, row_ids(records))}
    lists = {}
    for direction in DIRECTIONS:
        folder = Path(root) / f'retrieve_{direction.upper()}'
        if folder.is_dir():
            lists[direction] = [_one_list(path, ids) for path in sorted(folder.glob('*.pkl'))]
    return lists


def _one_list(path: Path, ids: Mapping[str, str]) -> list[str]:
    content = read_plain_pickle(path)
    try:
        names = [entry['img_name'] for entry in content.values()]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: expected a dict of entries, each with 'img_name' ({error})"
        ) from error
    unknown = [name for name in names if name not in ids]
    if unknown or len(names) < 2:
        raise ValueError(
            f'{path}: {len(unknown)} of {len(names)} images are not in the validation split'
            + (f", e.g. '{unknown[0]}'" if unknown else '; a list needs at least two')
        )
    return [ids[name] for name in names]


def _record(path: Path, root: Path, images: str) -> dict[str, str]:
    content = read_plain_pickle(path)
    if not isinstance(content, dict) or not KEYS.keys() <= content.keys():
        keys = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise KeyError(f'{path}: needs the keys {", ".join(KEYS)}; it has {keys}')
    record = {key: ' '.join(_text(content[theirs], path).split()) for theirs, key in KEYS.items()}
    if not any(character.isalnum() for character in record['caption']):
        raise ValueError(f'{path}: the caption of product {record["product_id"]} is empty')
    name = record['image']
    if Path(name).name != name or not (root / images / name).is_file():
        raise FileNotFoundError(f"{path}: no image '{name}' in {root / images}")
    return {**record, 'image': f'{images}/{name}'}


def _text(value: Any, path: Path) -> str:
    """A string; some files hold a caption as a list of one string."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str | int):
        raise ValueError(f'{path}: expected a text or a number, not {type(value).__name__}')
    return str(value)


def main() -> None:
    """Parse, read everything, then write the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path)
    parser.add_argument('--check', action='store_true', help='only validate, write nothing')
    args = parser.parse_args()
    splits = {}
    for split in SPLITS:
        records = list(track(read_released(args.folder, split), description=split, total=None))
        splits[split] = records
        categories = Counter(record['main_category'] for record in records)
        print(
            f'{split}: {len(records)} images, '
            f'{len({record["product_id"] for record in records})} products, '
            f'{len(categories)} main and {len({r["sub_category"] for r in records})} sub-categories'
        )
    lists = read_released_lists(args.folder, splits['valid'])
    for direction, ids in lists.items():
        print(f'{direction}: {len(ids)} lists of {max(map(len, ids), default=0)} candidates')
    if args.check:
        print('nothing written (--check)')
        return
    for split, records in splits.items():
        write_json(args.folder / f'{split}.json', dict(records=records))
        print(f'{args.folder / split}.json written')
    if lists:
        content = candidate_file(
            dict(source='retrieve_TIR and retrieve_ITR of the released code'),
            dict(ann_file='valid.json', rows=len(splits['valid'])),
            [lists],
        )
        write_json(args.folder / 'candidates.json', content, indent=None)
        print(f'{args.folder}/candidates.json written')


if __name__ == '__main__':
    run_command(main)
