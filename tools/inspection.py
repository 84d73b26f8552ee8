"""What one should know of a split before days of training on it."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np

from mvlt.config import labels_of
from mvlt.datasets.pair_dataset import PairDataset
from mvlt.datasets.transforms import LoadImage
from mvlt.structures import CATEGORIES

PERCENTILES = (50, 95, 99, 100)
_BLOCK = 1024


class Pictures(NamedTuple):
    """Of the distinct pictures of a split.

    digests: SHA-256 of the decoded pixels -> the first row with them, and how many have them.
    sizes: (width, height) of each readable one.
    unreadable: a message each.
    """

    digests: dict[bytes, tuple[int, int]]
    sizes: list[tuple[int, int]]
    unreadable: list[str]


def read_pictures(
    dataset: PairDataset,
    workers: int = 1,
    progress: Callable[[Iterable, int], Iterable] = lambda found, total: found,
) -> Pictures:
    """Decode every distinct picture once.

    Args:
        dataset: its pipeline is not run.
        workers: threads; decoding lets others run.
        progress: wraps the iteration; is told the number of pictures.
    """
    load = LoadImage()
    rows: dict[Any, int] = {}
    for row in range(len(dataset)):
        rows.setdefault(dataset.get_data_info(row).get('img_path', row), row)

    def read(row: int) -> tuple[int, bytes, tuple[int, int]] | str:
        record = dataset.get_data_info(row)
        try:
            image = load(dataset.load(record))['img']
        except OSError as error:
            place = f'{dataset.ann_file}, row {record["row"]}: ' if 'row' in record else ''
            return f'{place}{error}'
        digest = hashlib.sha256(f'{image.shape}'.encode() + image.tobytes()).digest()
        return row, digest, (image.shape[1], image.shape[0])

    digests: dict[bytes, tuple[int, int]] = {}
    sizes, unreadable = [], []
    with ThreadPoolExecutor(workers) as pool:
        wanted = iter(rows.values())
        blocks = iter(
            lambda: list(islice(wanted, _BLOCK)), []
        )  # a task a picture would fill memory
        found_of = chain.from_iterable(pool.map(read, block) for block in blocks)
        for found in progress(found_of, len(rows)):
            if isinstance(found, str):
                unreadable.append(found)
                continue
            row, digest, size = found
            first, count = digests.get(digest, (row, 0))
            digests[digest] = (first, count + 1)
            sizes.append(size)
    return Pictures(digests, sizes, unreadable)


def describe(
    records: Sequence[Mapping], metainfo: Mapping, lengths: Sequence[int], max_length: int | None
) -> dict[str, Any]:
    """Counts of a split.

    Args:
        records: ``product_id``, ``caption`` and, where known, the categories, a row each.
        metainfo: names of categories and attributes.
        lengths: of every caption, in tokens (or, without a tokenizer, in words).
        max_length: tokens that the model reads; None = not known.

    Returns:
        ``rows``, ``products``, ``labels``; for each label ``classes``, ``single_product`` and
        ``unseen`` ones (names that training lacks), products where it is ``unknown``;
        ``caption_length`` percentiles and ``captions_cut``; ``shared_captions``: captions of more
        than one product, and ``products_sharing``: how many products have one of them.
    """
    products: dict[str, Mapping] = {}
    owners: dict[str, set[str]] = defaultdict(set)
    for record in records:
        products.setdefault(record['product_id'], record)
        owners[record['caption']].add(record['product_id'])
    shared = [ids for ids in owners.values() if len(ids) > 1]
    found: dict[str, Any] = dict(rows=len(records), products=len(products))
    known = dict.fromkeys((*CATEGORIES, *labels_of(metainfo)))
    found['labels'] = [label for label in known if label in records[0]]
    for level in found['labels']:
        names, trained = metainfo[level], metainfo.get(f'{level}_trained')
        counts = Counter(record[level] for record in products.values())
        unknown = counts.pop(-1, 0)
        found[level] = dict(
            unknown=unknown,
            classes=len(counts),
            largest={names[c]: n for c, n in counts.most_common(3)},
            single_product=[names[c] for c, n in counts.items() if n == 1],
            unseen=[names[c] for c in counts if trained is not None and c >= trained],
        )
    found['caption_length'] = {
        f'p{p}' if p < 100 else 'max': int(np.percentile(lengths, p)) for p in PERCENTILES
    }
    found['captions_cut'] = None if max_length is None else sum(n > max_length for n in lengths)
    found['shared_captions'] = len(shared)
    found['products_sharing'] = len(set().union(*shared)) if shared else 0
    return found


def short_of_candidates(records: Sequence[Mapping], negatives: int = 100) -> int:
    """Products with fewer than ``negatives`` others of their sub-category, another caption each.

    Their 101-lists are filled from further away, and are easier.
    """
    products: dict[str, Mapping] = {}
    for record in records:
        products.setdefault(record['product_id'], record)
    groups: dict[Any, Counter] = defaultdict(Counter)
    for record in products.values():
        groups[record.get('sub_category')][record['caption']] += 1
    short = 0
    for captions in groups.values():
        total = sum(captions.values())
        short += sum(same for same in captions.values() if total - same < negatives)
    return short


def leaks(splits: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """``a, b`` -> product ids that are in both splits.

    Args:
        splits: name -> product id of every row.
    """
    names = list(splits)
    found = {}
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            common = sorted(set(splits[first]) & set(splits[second]))
            if common:
                found[f'{first}, {second}'] = common
    return found
