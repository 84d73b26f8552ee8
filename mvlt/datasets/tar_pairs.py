"""Pairs in tar files, WebDataset's layout: few large files instead of millions of small ones.

A sample is the members of a folder that share a name up to its first dot: ``000123.jpg`` (or
.png, .webp) and ``000123.json``, with the keys of :class:`mvlt.datasets.PairJSON` except
``image``.
"""

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from mvlt.datasets.pair_json import PairJSON, check_records
from mvlt.datasets.transforms.loading import LoadImage, read_image
from mvlt.registry import DATASETS

_IMAGES = ('jpg', 'jpeg', 'png', 'webp')
_REMEDY = 'write shards with tools/dataset_converters/to_shards.py; set data_root and ann_file'


@DATASETS.register_module()
class TarPairs(PairJSON):
    """One split: all tar files that match a pattern, with random access.

    WebDataset's own reader streams shard by shard. This class reads any row at any time, so
    samplers shuffle all rows and training resumes anywhere; it reads the shards' tables of
    contents on opening. The pipeline's LoadImage decodes the images, without its ``cache_size``.
    An empty category is unknown, -1.

    Args:
        ann_file: pattern of the split's shards below ``data_root``, e.g. ``train-*.tar``.
        classes_from: pattern of the training split; None = ``ann_file``.
        attributes, texts, kwargs: see :class:`PairJSON`. ``images`` is not supported.

    Raises:
        FileNotFoundError, KeyError, OSError, ValueError: no such shard; no tar file; a sample
            without or with two images or JSONs; see :class:`PairJSON`. The message names the
            member.
    """

    unknown = frozenset({''})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.get('images'):
            raise ValueError('TarPairs.images: a sample has one image; use PairJSON')
        self._members: dict[str, tuple[str, int, int]] = {}  # image -> file, offset, size
        super().__init__(*args, **kwargs)

    def load(self, record: dict) -> dict:
        """Read and decode the image."""
        with open(record['file'], 'rb') as file:
            content = os.pread(file.fileno(), record['size'], record['offset'])
        loading = self.pipeline.find(LoadImage) or LoadImage()
        try:
            record['img'] = read_image(io.BytesIO(content), loading.max_pixels, loading.at_least)
        except OSError as error:
            raise OSError(f'{record["member"]}: {error}') from error
        return record

    def _records(self, path: str) -> list[dict[str, str]]:
        folder, pattern = os.path.split(path)
        shards = sorted(Path(folder).glob(pattern))
        if not shards:
            raise FileNotFoundError(f'{path}: no shard matches; {_REMEDY}')
        records = [record for shard in shards for record in self._in_shard(shard)]
        if not records:
            raise ValueError(f'{path}: no sample in any of {len(shards)} shards; {_REMEDY}')
        check_records(records, path)
        return records

    def _in_shard(self, shard: Path) -> list[dict[str, str]]:
        samples: dict[str, dict[str, tarfile.TarInfo]] = {}
        try:
            with tarfile.open(shard, 'r:') as opened:
                for member in filter(tarfile.TarInfo.isfile, opened):
                    folder, name = os.path.split(os.path.normpath(member.name))
                    stem, _, ending = name.partition('.')
                    parts = samples.setdefault(os.path.join(folder, stem), {})
                    if parts.setdefault(ending.lower(), member) is not member:
                        raise ValueError(f'{shard}: {member.name} is there twice')
            with open(shard, 'rb') as file:
                return [self._sample(file.fileno(), shard, *item) for item in samples.items()]
        except (tarfile.TarError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f'{shard}: unreadable ({error}); {_REMEDY}') from error

    def _sample(
        self, file: int, shard: Path, key: str, members: dict[str, tarfile.TarInfo]
    ) -> dict[str, str]:
        endings = [ending for ending in members if ending in _IMAGES]
        if len(endings) != 1 or 'json' not in members:
            raise ValueError(
                f'{shard}, sample {key}: it has {", ".join(members)}; one image '
                f'({", ".join(_IMAGES)}) and json are needed'
            )
        table, image = members['json'], members[endings[0]]
        record = json.loads(os.pread(file, table.size, table.offset_data))
        if not isinstance(record, dict):
            raise ValueError(f'{shard}, sample {key}: its json is a {type(record).__name__}')
        name = f'{shard}/{key}.{endings[0]}'
        self._members[name] = (str(shard), image.offset_data, image.size)
        return dict(record, image=name)

    def _image(self, name: str, where: str) -> dict[str, Any]:
        file, offset, size = self._members[name]
        return dict(member=name, file=file, offset=offset, size=size)
