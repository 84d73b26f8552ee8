"""Pairs in tar files, WebDataset's layout: few large files in the place of millions of small ones.

A sample is the members that share a name up to its first dot: ``000123.jpg`` (or .png, .webp) and
``000123.json``, whose keys are those of :class:`mvlt.datasets.PairJSON` without ``image``.
"""

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from mvlt.datasets.pair_json import PairJSON, check_records
from mvlt.datasets.transforms.loading import read_image
from mvlt.registry import DATASETS

_PICTURES = ('jpg', 'jpeg', 'png', 'webp')
_REMEDY = 'write shards with tools/dataset_converters/to_shards.py; set data_root and ann_file'


@DATASETS.register_module()
class TarPairs(PairJSON):
    """One split: all shards that a pattern names. Members are read where they lie in the file.

    Unlike WebDataset's own reader, which streams shard by shard, any row can be asked for at any
    time: samplers shuffle all of them, and a run can be taken up anywhere. The shards' tables of
    contents are read on opening.

    Args:
        ann_file: pattern of the split's shards below ``data_root``, e.g. ``train-*.tar``.
        classes_from: pattern of the training split's; None = ``ann_file`` is the training split.
        attributes, kwargs: see :class:`PairJSON`.

    Raises:
        FileNotFoundError, KeyError, OSError, ValueError: no such shard, a sample without picture or
            JSON, what is no tar file, keys as of :class:`PairJSON`; the message names the member.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._members: dict[str, tuple[str, int, int]] = {}  # picture -> file, place, bytes
        super().__init__(*args, **kwargs)

    def load(self, record: dict) -> dict:
        """Read the picture's bytes and decode them."""
        path, place, size = record['member']
        with open(path, 'rb') as file:
            content = os.pread(file.fileno(), size, place)
        try:
            record['img'] = read_image(io.BytesIO(content))
        except OSError as error:
            raise OSError(f'{record["img_path"]}: {error}') from error
        return record

    def _records(self, path: str) -> list[dict[str, str]]:
        folder, pattern = os.path.split(path)
        shards = sorted(Path(folder).glob(pattern))
        if not shards:
            raise FileNotFoundError(f'{path}: no shard is called so; {_REMEDY}')
        records = [record for shard in shards for record in self._in_shard(shard)]
        if not records:
            raise ValueError(f'{path}: no sample in any of {len(shards)} shards; {_REMEDY}')
        check_records(records, path)
        return records

    def _in_shard(self, shard: Path) -> list[dict[str, str]]:
        samples: dict[str, dict[str, tarfile.TarInfo]] = {}
        try:
            with tarfile.open(shard, 'r:') as opened:
                for member in opened:
                    key, _, ending = member.name.partition('.')
                    samples.setdefault(key, {})[ending.lower()] = member
            found = []
            with open(shard, 'rb') as file:
                for key, members in samples.items():
                    picture = next((one for one in _PICTURES if one in members), None)
                    if picture is None or 'json' not in members:
                        raise ValueError(
                            f'{shard}, sample {key}: it has {", ".join(members)}; a picture '
                            f'({", ".join(_PICTURES)}) and json are needed'
                        )
                    table = members['json']
                    text = os.pread(file.fileno(), table.size, table.offset_data)
                    name, member = f'{shard}/{key}.{picture}', members[picture]
                    self._members[name] = (str(shard), member.offset_data, member.size)
                    found.append(dict(json.loads(text), image=name))
        except (tarfile.TarError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f'{shard}: unreadable ({error}); {_REMEDY}') from error
        return found

    def _picture(self, name: str, where: str) -> dict[str, Any]:
        return dict(img_path=name, member=self._members[name])
