"""Read every record of every split and say what training on it would meet.

    tools/check_dataset.py configs/mvlt/pretrain_catalogue.py --data-root MY_CATALOGUE

Exit status 1 if training or evaluation would fail (marked FAIL); what only spoils results is
marked WARN.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from rich.progress import track

from mvlt.command_line import add_options, config_from, run_command
from mvlt.config import heads_of, labels_of
from mvlt.datasets import MatchingPairs, PairDataset, RankingGroups, Tokenize
from mvlt.datasets.columns import Meaning, Template, description_of
from mvlt.datasets.pipeline import build_step, named
from mvlt.datasets.table import column_names
from mvlt.engine import SkippedRecordsHook, VocabularyHook, resolve
from mvlt.engine.resolve import datasets_of
from mvlt.files import write_json
from mvlt.registry import DATASETS, HOOKS, TRANSFORMS
from mvlt.tools.inspection import describe, leaks, read_pictures, short_of_candidates

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def main() -> None:
    """Parse, read, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument('--out', help='also write the report as JSON')
    parser.add_argument(
        '--write',
        action='store_true',
        help='write what the columns are taken for into a JSON file beside the table, which then '
        'goes before every config',
    )
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='threads')
    args = parser.parse_args()
    log = _Log()
    MMLogger.get_instance('check_dataset', log_level='INFO').handlers = [log]
    config = resolve(config_from(args), 'data', work_dir=args.work_dir)
    report = check(config, args.workers)
    report['warn'] = [*log.lines(logging.WARNING), *report['warn']]
    report['said'] = [*meaning_of(config, args.write), *log.lines(logging.INFO)]
    for line in lines(report):
        print(line)
    if args.out:
        write_json(args.out, report)
    sys.exit(1 if report['fail'] else 0)


def meaning_of(config: Config, write: bool) -> list[str]:
    """What a table's columns are taken for, as a line; with ``write`` also as its JSON file.

    Raises:
        FileExistsError: there is such a file.
    """
    for _, settings in datasets_of(config):
        if 'columns' not in settings:
            continue
        meaning = Meaning(
            dict(settings['columns']),
            settings['caption'],
            dict(settings.get('attributes') or {}),
            tuple(settings.get('wordings') or ()),
        )
        table = Path(settings.get('data_root') or '', settings['ann_file'])
        names = column_names(table, settings.get('encoding'))
        read = {*meaning.columns.values(), *meaning.attributes.values()}
        for template in (meaning.caption, *meaning.wordings):
            read.update(Template(template, names).columns)
        unread = [name for name in names if name not in read]
        also = (
            [f'not read: {", ".join(unread)}; attributes go into {table.stem}.json']
            if unread
            else []
        )
        path, content = table.with_suffix('.json'), description_of(meaning)
        line = f'{table}: columns are taken as {json.dumps(content, ensure_ascii=False)}'
        if path.is_file() and not write:
            return [f'{line}, as {path.name} says', *also]
        if not write:
            return [f'{line}; --write keeps that in {path.name}, to be corrected there', *also]
        if path.exists():
            raise FileExistsError(f'{path} is there: edit it, or delete it and write it anew')
        write_json(path, content)
        return [f'{line}; written into {path}', *also]
    return ['no table: the config reads another layout'] if write else []


class _Log(logging.Handler):
    """Keeps what datasets say while they are opened, each line once."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.records[record.getMessage()] = record.levelno

    def lines(self, level: int) -> list[str]:
        return [line for line, own in self.records.items() if own == level]


def check(config: Config, workers: int) -> dict[str, Any]:
    """Everything that is said, as plain data: ``splits``, ``fail`` and ``warn``."""
    report: dict[str, Any] = dict(splits={}, fail=[], warn=[])
    described = splits_of(config)
    tokenize, max_len = _tokenizer(config, report)
    products: dict[str, list[str]] = {}
    digests: dict[str, set[bytes]] = {}
    for name, settings in described.items():
        try:
            dataset = DATASETS.build(settings)
        except (FileNotFoundError, KeyError, ValueError, OSError) as error:
            line = f'{name}: {error.args[0] if isinstance(error, KeyError) else error}'
            read = name in _read_by_config(config)
            report['fail' if read else 'warn'].append(
                line if read else f'{line} (no loader of the config reads this split)'
            )
            continue
        records = [dataset.get_data_info(row) for row in range(len(dataset))]
        if not records:
            report['warn'].append(f'{name}: no products; training validates nothing')
            continue
        lengths = _lengths(records, tokenize)
        found = describe(records, dataset.metainfo, lengths, max_len if tokenize else None)
        found['length_unit'] = 'tokens' if tokenize else 'words'
        pictures = read_pictures(dataset, workers, _bar(name))
        twice = [count for _, count in pictures.digests.values() if count > 1]
        found.update(
            captions=len({record['caption'] for record in records}),
            examples=_examples(dataset, records),
            pictures=len(pictures.sizes) + len(pictures.unreadable),
            unreadable=pictures.unreadable,
            same_pictures=sum(twice) - len(twice),
            sizes=_sizes(pictures.sizes),
            short_of_candidates=short_of_candidates(records),
        )
        report['splits'][name] = found
        products[name] = [record['product_id'] for record in records]
        digests[name] = set(pictures.digests)
        _judge(name, found, report, _may_skip(config, name) * len(records))
    rows = {name: len(ids) for name, ids in products.items()}
    if 'train' in rows and rows.get('test', 0) > rows['train']:
        report['warn'].append(
            f'test has more rows than train ({rows["test"]} > {rows["train"]}): were the two '
            'swapped?'
        )
    common_products = leaks(products)
    for pair, common in common_products.items():
        report['warn'].append(
            f'{len(common)} products are in two splits ({pair}), e.g. {common[0]}: what is learnt '
            'of them is tested again'
        )
    report['leaks'] = {pair: len(common) for pair, common in common_products.items()}
    _judge_common_pictures(digests, report)
    _judge_matching(config, report)
    return report


def _examples(dataset: PairDataset, records: list[dict]) -> list[dict[str, Any]]:
    """Three products as training reads them: where the picture is, the caption, the labels."""
    labels = labels_of(dataset.metainfo)
    return [
        dict(
            picture=record.get('img_path', ''),
            caption=record['caption'],
            **{
                label: dataset.metainfo[label][record[label]]
                for label in labels
                if record.get(label, -1) >= 0
            },
        )
        for record in records[:: max(1, len(records) // 3)][:3]
    ]


def splits_of(config: Config) -> dict[str, dict]:
    """Settings of the datasets that the config reads, and of their kind's other splits."""
    found: dict[str, dict] = {}
    for loader in LOADERS:
        settings = (config.get(loader) or {}).get('dataset')
        if settings is None:
            continue
        while 'dataset' in settings:
            settings = settings['dataset']
        # 'skip' opens the split though pictures are missing, so that all of them are listed
        settings = dict(settings, pipeline=[], indices=None, on_error='skip', test_mode=False)
        kind: Any = DATASETS.get(settings['type'])
        found[_split(loader, settings)] = settings
        for split in getattr(kind, 'splits', ()):
            if 'split' in settings:
                found.setdefault(split, dict(settings, split=split))
    return {name: found[name] for name in (*('train', 'val', 'test'), *found) if name in found}


def _split(loader: str, settings: dict) -> str:
    return settings.get('split') or loader.removesuffix('_dataloader')


def _read_by_config(config: Config) -> set[str]:
    """Splits that training or testing by this config would open."""
    found = set()
    for loader in LOADERS:
        settings = (config.get(loader) or {}).get('dataset')
        while settings is not None and 'dataset' in settings:
            settings = settings['dataset']
        if settings is not None:
            found.add(_split(loader, settings))
    return found


def _may_skip(config: Config, split: str) -> float:
    """Share of a split's records that reading it by this config leaves out, if it must."""
    settings = (config.get('train_dataloader') or {}).get('dataset') or {}
    while 'dataset' in settings:
        settings = settings['dataset']
    hooks = _hooks(config, SkippedRecordsHook)
    if not hooks or settings.get('on_error') != 'skip':
        return 0
    return hooks[0].get('max_share', 0.01) if split == _split('train_dataloader', settings) else 0


def _hooks(config: Config, kind: type) -> list[dict]:
    """Settings of the hooks of a kind."""
    named = (config.get('default_hooks') or {}).values()
    hooks = [*filter(None, named), *(config.get('custom_hooks') or ())]
    return [hook for hook in hooks if issubclass(HOOKS.get(hook['type']), kind)]


def _tokenizer(config: Config, report: dict) -> tuple[Tokenize | None, int | None]:
    """The training pipeline's tokenizer, None where its vocabulary is yet to be trained."""
    settings = next((s for s in _transforms(config) if _is(s, Tokenize)), None)
    if settings is None:
        return None, None
    tokenize = build_step(settings)
    backbone = (config.get('model') or {}).get('backbone') or {}
    text = backbone.get('text_encoder') or {}
    rows = backbone.get('vocab_size')
    text_len = backbone.get('text_len', text.get('context_length'))
    try:
        pieces = len(tokenize.vocabulary)
    except (FileNotFoundError, ValueError) as error:
        trained = any(hook.get('train_size') for hook in _hooks(config, VocabularyHook))
        if trained:
            report['warn'].append(
                f"no vocabulary in '{tokenize.source}' yet: training makes it; lengths are in words"
            )
        else:
            report['fail'].append(str(error))
        return None, None
    if rows is not None and pieces > rows:
        report['fail'].append(
            f"vocabulary '{tokenize.source}' has {pieces} word pieces, the model {rows} rows: set "
            f'model.backbone.vocab_size={pieces}'
        )
    if text_len is not None and tokenize.max_len > text_len:
        report['fail'].append(
            f'Tokenize.max_len={tokenize.max_len} is more than the model reads, '
            f'{text_len}: lower it, or raise model.backbone.text_len'
        )
    return tokenize, tokenize.max_len


def _transforms(config: Config) -> Iterable[dict]:
    for loader in LOADERS:
        settings = (config.get(loader) or {}).get('dataset')
        while settings is not None:
            yield from named(settings.get('pipeline')).values()
            settings = settings.get('dataset')


def _is(settings: dict, kind: type) -> bool:
    found = TRANSFORMS.get(settings['type']) if isinstance(settings['type'], str) else None
    return issubclass(found or settings['type'], kind)


def _lengths(records: list[dict], tokenize: Tokenize | None) -> list[int]:
    if tokenize is None:
        return [len(record['caption'].split()) for record in records]
    lengths: dict[str, int] = {}
    for record in records:
        if record['caption'] not in lengths:
            ids = tokenize.vocabulary.encode(record['caption'], 1_000_000)
            lengths[record['caption']] = len(ids)
    return [lengths[record['caption']] for record in records]


def _bar(name: str) -> Any:
    return lambda found, total: track(found, description=name, total=total)


def _sizes(sizes: list[tuple[int, int]]) -> dict[str, list[int]]:
    """Width and height, sorted by area: the smallest, the middle one, the largest."""
    ordered = sorted(sizes, key=lambda size: size[0] * size[1])
    if not ordered:
        return {}
    places = dict(smallest=0, median=len(ordered) // 2, largest=-1)
    return {name: list(ordered[place]) for name, place in places.items()}


def _judge(name: str, found: dict, report: dict, skipped: float) -> None:
    if found['unreadable']:
        left_out = bool(skipped) and len(found['unreadable']) <= max(1, skipped)
        report['warn' if left_out else 'fail'].append(
            f'{name}: {len(found["unreadable"])} unreadable pictures, '
            f'{"which training leaves out, " if left_out else ""}first: {found["unreadable"][0]}'
        )
    if name == 'test' and found['products'] < 101:
        report['warn'].append(
            f'test: {found["products"]} products; the protocols of 101 candidates need as many: '
            'rank everything (retrieval_full_* configs) or set test_cfg.num_candidates'
        )
    if found['captions_cut']:
        report['warn'].append(
            f'{name}: {found["captions_cut"]} captions are longer than the model reads and are cut'
        )
    for level in found['labels']:
        if found.get(level, {}).get('unseen'):
            report['warn'].append(
                f'{name}: {len(found[level]["unseen"])} {level} value(s) that training lacks, '
                f'which count as missed: {", ".join(found[level]["unseen"][:5])}'
            )


def _judge_common_pictures(digests: dict[str, set[bytes]], report: dict) -> None:
    names = list(digests)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            common = len(digests[first] & digests[second])
            if common:
                report['warn'].append(
                    f'{common} pictures of {first} are in {second} too, pixel by pixel'
                )


def _judge_matching(config: Config, report: dict) -> None:
    """Matching needs captions of other products; category heads need categories."""
    settings = (config.get('train_dataloader') or {}).get('dataset') or {}
    if settings.get('type') is None or 'train' not in report['splits']:
        return
    found = report['splits']['train']
    kind: Any = DATASETS.get(settings['type'])
    needed = 0
    if kind is MatchingPairs and settings.get('negative_prob', 0.5) > 0:
        needed = 2
    if kind is RankingGroups:
        needed = 1 + settings.get('num_negatives', 15)
    if min(found['captions'], found['products']) < needed:
        report['fail'].append(
            f'train: {needed} products with different captions are needed, there are '
            f'{found["products"]} products and {found["captions"]} captions'
        )
    lacking = {
        name: head.get('label', name)
        for name, head in heads_of(config.get('model')).items()
        if 'num_classes' in head and head.get('label', name) not in found
    }
    report['fail'] += [
        f"train: model.heads.{name} learns '{label}', which the data do not say; name its column "
        'in `columns`'
        for name, label in lacking.items()
        if 'for_each' not in config.model.heads[name]
    ]


def lines(report: dict) -> list[str]:
    """What is printed."""
    said = list(report.get('said', ()))
    for one in (report['splits'].get('train') or {}).get('examples', ()):
        labels = ', '.join(f'{k} {v}' for k, v in one.items() if k not in ('picture', 'caption'))
        said.append(f"e.g. {one['picture']}: '{one['caption']}'; {labels}".rstrip('; '))
    for name, found in report['splits'].items():
        said.append(
            f'\n{name}: {found["rows"]} rows, {found["products"]} products, '
            f'{found["pictures"]} pictures ({len(found["unreadable"])} unreadable)'
        )
        for level in found['labels']:
            if level in found:
                one = found[level]
                largest = ', '.join(f'{key} {n}' for key, n in one['largest'].items())
                said.append(
                    f'  {level}: {one["classes"]} classes, largest {largest}; '
                    f'{len(one["single_product"])} with a single product'
                    + (f'; of {one["unknown"]} products unknown' if one['unknown'] else '')
                )
        lengths = ', '.join(f'{key} {n}' for key, n in found['caption_length'].items())
        said.append(
            f'  caption length in {found["length_unit"]}: {lengths}; cut: '
            f'{"not known" if found["captions_cut"] is None else found["captions_cut"]}'
        )
        said.append(
            f'  captions of several products: {found["shared_captions"]} '
            f'({found["products_sharing"]} products); pictures that repeat another: '
            f'{found["same_pictures"]}'
        )
        sizes = ', '.join(f'{key} {w} x {h}' for key, (w, h) in found['sizes'].items())
        said.append(f'  picture sizes: {sizes}')
        said.append(
            f'  products with fewer than 100 candidates of their sub-category: '
            f'{found["short_of_candidates"]}'
        )
    said.append('')
    said += [f'WARN {line}' for line in report['warn']]
    said += [f'FAIL {line}' for line in report['fail']]
    said.append('training or evaluation would fail' if report['fail'] else 'training can start')
    return said


if __name__ == '__main__':
    run_command(main)
