"""Facts of a split to read before days of training on it."""

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


class Images(NamedTuple):
    """The distinct images of a split.

    digests: SHA-256 of the decoded pixels -> the first row with them, and the number of rows.
    sizes: (width, height) of each readable image.
    unreadable: a message for each unreadable image.
    """

    digests: dict[bytes, tuple[int, int]]
    sizes: list[tuple[int, int]]
    unreadable: list[str]


def read_images(
    dataset: PairDataset,
    workers: int = 1,
    progress: Callable[[Iterable, int], Iterable] = lambda results, total: results,
) -> Images:
    """Decode every distinct image once.

    Args:
        dataset: its pipeline is not run.
        workers: threads; decoding releases the GIL.
        progress: wraps the iteration; its second argument is the number of images.
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
            where = f'{dataset.ann_file}, row {record["row"]}: ' if 'row' in record else ''
            return f'{where}{error}'
        digest = hashlib.sha256(f'{image.shape}'.encode() + image.tobytes()).digest()
        return row, digest, (image.shape[1], image.shape[0])

    digests: dict[bytes, tuple[int, int]] = {}
    sizes, unreadable = [], []
    with ThreadPoolExecutor(workers) as pool:
        remaining = iter(rows.values())
        blocks = iter(
            lambda: list(islice(remaining, _BLOCK)), []
        )  # one task an image would fill the memory
        found_of = chain.from_iterable(pool.map(read, block) for block in blocks)
        for result in progress(found_of, len(rows)):
            if isinstance(result, str):
                unreadable.append(result)
                continue
            row, digest, size = result
            first, count = digests.get(digest, (row, 0))
            digests[digest] = (first, count + 1)
            sizes.append(size)
    return Images(digests, sizes, unreadable)


def describe(
    records: Sequence[Mapping], metainfo: Mapping, lengths: Sequence[int], max_length: int | None
) -> dict[str, Any]:
    """Counts of a split.

    Args:
        records: one a row, with ``product_id``, ``caption`` and, if known, the categories.
        metainfo: names of categories and attributes.
        lengths: of every caption, in tokens, or in words without a tokenizer.
        max_length: the model's context length in tokens; None = unknown.

    Returns:
        ``rows``, ``products``, ``labels``. For each label the number of ``classes``, names of
        classes with a ``single_product``, names ``unseen`` in training, and the number of products
        with an ``unknown`` class. ``caption_length`` percentiles and ``captions_cut``.
        ``shared_captions``: captions of several products; ``products_sharing``: products with such
        a caption.
    """
    products: dict[str, Mapping] = {}
    owners: dict[str, set[str]] = defaultdict(set)
    for record in records:
        products.setdefault(record['product_id'], record)
        owners[record['caption']].add(record['product_id'])
    shared = [ids for ids in owners.values() if len(ids) > 1]
    summary: dict[str, Any] = dict(rows=len(records), products=len(products))
    known = dict.fromkeys((*CATEGORIES, *labels_of(metainfo)))
    summary['labels'] = [label for label in known if label in records[0]]
    for level in summary['labels']:
        names, trained = metainfo[level], metainfo.get(f'{level}_trained')
        counts = Counter(record[level] for record in products.values())
        unknown = counts.pop(-1, 0)
        summary[level] = dict(
            unknown=unknown,
            classes=len(counts),
            largest={names[c]: n for c, n in counts.most_common(3)},
            single_product=[names[c] for c, n in counts.items() if n == 1],
            unseen=[names[c] for c in counts if trained is not None and c >= trained],
        )
    summary['caption_length'] = {
        f'p{p}' if p < 100 else 'max': int(np.percentile(lengths, p)) for p in PERCENTILES
    }
    summary['captions_cut'] = None if max_length is None else sum(n > max_length for n in lengths)
    summary['shared_captions'] = len(shared)
    summary['products_sharing'] = len(set().union(*shared)) if shared else 0
    return summary


def short_of_candidates(records: Sequence[Mapping], negatives: int = 100) -> int:
    """Number of products with fewer than ``negatives`` candidates of their sub-category.

    A candidate has another caption. Lists of these products have candidates of other
    sub-categories too, and are easier.
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
    """``a, b`` -> product ids in both splits.

    Args:
        splits: name -> product id of every row.
    """
    names = list(splits)
    shared = {}
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            common = sorted(set(splits[first]) & set(splits[second]))
            if common:
                shared[f'{first}, {second}'] = common
    return shared
