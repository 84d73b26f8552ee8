"""Read every record of every split and report what training would meet.

    tools/check_dataset.py configs/mvlt/pretrain_catalogue.py --data-root MY_CATALOGUE

FAIL marks an error of training or evaluation (exit status 1), WARN marks a risk for the results.
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

from mvlt.config import heads_of, labels_of
from mvlt.datasets import MatchingPairs, PairDataset, RankingGroups, Tokenize
from mvlt.datasets.columns import Meaning, Template, description_of
from mvlt.datasets.pipeline import build_step, named
from mvlt.datasets.table import column_names
from mvlt.engine import SkippedRecordsHook, TokenizerHook, resolve
from mvlt.engine.resolve import Task, datasets_of
from mvlt.files import write_json
from mvlt.registry import DATASETS, HOOKS, TRANSFORMS
from mvlt.tools.check_report import lines
from mvlt.tools.command_line import add_options, config_from, run_command
from mvlt.tools.inspection import describe, leaks, read_images, short_of_candidates

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
        help='write the meaning of the columns into a JSON file beside the table; the file then '
        'overrides every config',
    )
    parser.add_argument(
        '--from',
        dest='start',
        metavar='MODEL',
        help='the model folder that a training starts from: read images and captions as it does',
    )
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='threads')
    args = parser.parse_args()
    log = _Log()
    MMLogger.get_instance('check_dataset', log_level='INFO').handlers = [log]
    task: Task = 'train' if args.start else 'data'
    config = resolve(config_from(args), task, args.start, work_dir=args.work_dir)
    report = check(config, args.workers)
    report['warn'] = [*log.lines(logging.WARNING), *report['warn']]
    report['said'] = [*meaning_of(config, args.write), *log.lines(logging.INFO)]
    for line in lines(report):
        print(line)
    if args.out:
        write_json(args.out, report)
    sys.exit(1 if report['fail'] else 0)


def meaning_of(config: Config, write: bool) -> list[str]:
    """The meaning of a table's columns, as a line; with ``write`` also as a JSON file.

    Raises:
        FileExistsError: the file exists.
    """
    for _, settings in datasets_of(config):
        if 'columns' not in settings:
            continue
        meaning = Meaning(
            dict(settings['columns']),
            settings['caption'],
            dict(settings.get('attributes') or {}),
            tuple(settings.get('caption_templates') or ()),
        )
        table = Path(settings.get('data_root') or '', settings['ann_file'])
        names = column_names(table, settings.get('encoding'))
        read = {*meaning.columns.values(), *meaning.attributes.values()}
        for template in (meaning.caption, *meaning.caption_templates):
            read.update(Template(template, names).columns)
        unread = [name for name in names if name not in read]
        also = (
            [f'not read: {", ".join(unread)}; add attributes to {table.stem}.json']
            if unread
            else []
        )
        path, content = table.with_suffix('.json'), description_of(meaning)
        line = f'{table}: meaning of the columns: {json.dumps(content, ensure_ascii=False)}'
        if path.is_file() and not write:
            return [f'{line}, read from {path.name}', *also]
        if not write:
            return [f'{line}; to correct it, run with --write and edit {path.name}', *also]
        if path.exists():
            raise FileExistsError(f'{path} exists: edit it, or delete it and run --write again')
        write_json(path, content)
        return [f'{line}; written into {path}', *also]
    return ['no table to describe: the config reads another layout'] if write else []


class _Log(logging.Handler):
    """Collects the messages of opening datasets, each once."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.records[record.getMessage()] = record.levelno

    def lines(self, level: int) -> list[str]:
        return [line for line, severity in self.records.items() if severity == level]


def check(config: Config, workers: int) -> dict[str, Any]:
    """The report as plain data: ``splits``, ``fail`` and ``warn``."""
    report: dict[str, Any] = dict(splits={}, fail=[], warn=[])
    described = splits_of(config)
    tokenize, max_length = _tokenizer(config, report)
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
            report['warn'].append(f'{name}: no products; training does not validate')
            continue
        lengths = _lengths(records, tokenize)
        summary = describe(records, dataset.metainfo, lengths, max_length if tokenize else None)
        summary['length_unit'] = 'tokens' if tokenize else 'words'
        images = read_images(dataset, workers, _bar(name))
        twice = [count for _, count in images.digests.values() if count > 1]
        summary.update(
            captions=len({record['caption'] for record in records}),
            examples=_examples(dataset, records),
            images=len(images.sizes) + len(images.unreadable),
            unreadable=images.unreadable,
            same_images=sum(twice) - len(twice),
            sizes=_sizes(images.sizes),
            short_of_candidates=short_of_candidates(records),
        )
        report['splits'][name] = summary
        products[name] = [record['product_id'] for record in records]
        digests[name] = set(images.digests)
        _judge(name, summary, report, _may_skip(config, name) * len(records))
    rows = {name: len(ids) for name, ids in products.items()}
    if 'train' in rows and rows.get('test', 0) > rows['train']:
        report['warn'].append(
            f'test has more rows than train ({rows["test"]} > {rows["train"]}): are they swapped?'
        )
    common_products = leaks(products)
    for pair, common in common_products.items():
        report['warn'].append(
            f'{len(common)} products are in two splits ({pair}), e.g. {common[0]}: the test '
            'contains training products'
        )
    report['leaks'] = {pair: len(common) for pair, common in common_products.items()}
    _judge_common_images(digests, report)
    _judge_matching(config, report)
    return report


def _examples(dataset: PairDataset, records: list[dict]) -> list[dict[str, Any]]:
    """Three products as training reads them: image path, caption, labels."""
    labels = labels_of(dataset.metainfo)
    return [
        dict(
            image=record.get('img_path', ''),
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
    """Settings of the config's datasets, and of their other splits."""
    splits: dict[str, dict] = {}
    for loader in LOADERS:
        settings = (config.get(loader) or {}).get('dataset')
        if settings is None:
            continue
        while 'dataset' in settings:
            settings = settings['dataset']
        # 'skip' opens a split despite missing images, so the report lists all of them
        settings = dict(settings, pipeline=[], indices=None, on_error='skip', test_mode=False)
        kind: Any = DATASETS.get(settings['type'])
        splits[_split(loader, settings)] = settings
        for split in getattr(kind, 'splits', ()):
            if 'split' in settings:
                splits.setdefault(split, dict(settings, split=split))
    return {name: splits[name] for name in (*('train', 'val', 'test'), *splits) if name in splits}


def _split(loader: str, settings: dict) -> str:
    return settings.get('split') or loader.removesuffix('_dataloader')


def _read_by_config(config: Config) -> set[str]:
    """Splits that training or testing opens."""
    splits = set()
    for loader in LOADERS:
        settings = (config.get(loader) or {}).get('dataset')
        while settings is not None and 'dataset' in settings:
            settings = settings['dataset']
        if settings is not None:
            splits.add(_split(loader, settings))
    return splits


def _may_skip(config: Config, split: str) -> float:
    """Share of a split's records that the config may skip."""
    settings = (config.get('train_dataloader') or {}).get('dataset') or {}
    while 'dataset' in settings:
        settings = settings['dataset']
    hooks = _hooks(config, SkippedRecordsHook)
    if not hooks or settings.get('on_error') != 'skip':
        return 0
    return hooks[0].get('max_share', 0.01) if split == _split('train_dataloader', settings) else 0


def _hooks(config: Config, kind: type) -> list[dict]:
    """Settings of the hooks of a class."""
    named = (config.get('default_hooks') or {}).values()
    hooks = [*filter(None, named), *(config.get('custom_hooks') or ())]
    return [hook for hook in hooks if issubclass(HOOKS.get(hook['type']), kind)]


def _tokenizer(config: Config, report: dict) -> tuple[Tokenize | None, int | None]:
    """The training pipeline's tokenizer; None if it is not trained yet."""
    settings = next((s for s in _transforms(config) if _is(s, Tokenize)), None)
    if settings is None:
        return None, None
    tokenize = build_step(settings)
    backbone = (config.get('model') or {}).get('backbone') or {}
    text = backbone.get('text_encoder') or {}
    rows = backbone.get('vocab_size')
    context_length = backbone.get('context_length', text.get('context_length'))
    try:
        pieces = len(tokenize.tokenizer)
    except (FileNotFoundError, ValueError) as error:
        trained = any(hook.get('train_size') for hook in _hooks(config, TokenizerHook))
        if trained:
            report['warn'].append(
                f"no tokenizer in '{tokenize.source}' yet: training makes it; lengths are in words"
            )
        else:
            report['fail'].append(str(error))
        return None, None
    if rows is not None and pieces > rows:
        report['fail'].append(
            f"tokenizer '{tokenize.source}' has {pieces} tokens, the model {rows} rows: set "
            f'model.backbone.vocab_size={pieces}'
        )
    if context_length is not None and tokenize.max_length > context_length:
        report['fail'].append(
            f'Tokenize.max_length={tokenize.max_length} is more than the model reads, '
            f'{context_length}: lower it, or raise model.backbone.context_length'
        )
    return tokenize, tokenize.max_length


def _transforms(config: Config) -> Iterable[dict]:
    for loader in LOADERS:
        settings = (config.get(loader) or {}).get('dataset')
        while settings is not None:
            yield from named(settings.get('pipeline')).values()
            settings = settings.get('dataset')


def _is(settings: dict, kind: type) -> bool:
    transform = TRANSFORMS.get(settings['type']) if isinstance(settings['type'], str) else None
    return issubclass(transform or settings['type'], kind)


def _lengths(records: list[dict], tokenize: Tokenize | None) -> list[int]:
    if tokenize is None:
        return [len(record['caption'].split()) for record in records]
    lengths: dict[str, int] = {}
    for record in records:
        if record['caption'] not in lengths:
            ids = tokenize.tokenizer.encode(record['caption'], 1_000_000)
            lengths[record['caption']] = len(ids)
    return [lengths[record['caption']] for record in records]


def _bar(name: str) -> Any:
    return lambda results, total: track(results, description=name, total=total)


def _sizes(sizes: list[tuple[int, int]]) -> dict[str, list[int]]:
    """Width and height of the smallest, the median and the largest image by area."""
    ordered = sorted(sizes, key=lambda size: size[0] * size[1])
    if not ordered:
        return {}
    places = dict(smallest=0, median=len(ordered) // 2, largest=-1)
    return {name: list(ordered[position]) for name, position in places.items()}


def _judge(name: str, summary: dict, report: dict, skipped: float) -> None:
    if summary['unreadable']:
        left_out = bool(skipped) and len(summary['unreadable']) <= max(1, skipped)
        report['warn' if left_out else 'fail'].append(
            f'{name}: {len(summary["unreadable"])} unreadable images, '
            f'{"which training skips, " if left_out else ""}first: {summary["unreadable"][0]}'
        )
    if name == 'test' and summary['products'] < 101:
        report['warn'].append(
            f'test: {summary["products"]} products, too few for lists of 101 candidates: use a '
            'retrieval_full_* config or set test_cfg.num_candidates'
        )
    if summary['captions_cut']:
        report['warn'].append(
            f'{name}: {summary["captions_cut"]} captions are longer than the context length and '
            'are cut'
        )
    for level in summary['labels']:
        if summary.get(level, {}).get('unseen'):
            report['warn'].append(
                f'{name}: {len(summary[level]["unseen"])} {level} class(es) missing in '
                f'training, which count as errors: {", ".join(summary[level]["unseen"][:5])}'
            )


def _judge_common_images(digests: dict[str, set[bytes]], report: dict) -> None:
    names = list(digests)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            common = len(digests[first] & digests[second])
            if common:
                report['warn'].append(
                    f'{common} images of {first} are also in {second}, pixel by pixel'
                )


def _judge_matching(config: Config, report: dict) -> None:
    """Matching needs captions of other products; category heads need categories."""
    settings = (config.get('train_dataloader') or {}).get('dataset') or {}
    if settings.get('type') is None or 'train' not in report['splits']:
        return
    summary = report['splits']['train']
    kind: Any = DATASETS.get(settings['type'])
    needed = 0
    if kind is MatchingPairs and settings.get('negative_prob', 0.5) > 0:
        needed = 2
    if kind is RankingGroups:
        needed = 1 + settings.get('num_negatives', 15)
    if min(summary['captions'], summary['products']) < needed:
        report['fail'].append(
            f'train: needs {needed} products with different captions, has '
            f'{summary["products"]} products and {summary["captions"]} captions'
        )
    lacking = {
        name: head.get('label', name)
        for name, head in heads_of(config.get('model')).items()
        if 'num_classes' in head and head.get('label', name) not in summary
    }
    report['fail'] += [
        f"train: model.heads.{name} learns '{label}', which the data lack; name its column in "
        '`columns`'
        for name, label in lacking.items()
        if 'for_each' not in config.model.heads[name]
    ]


if __name__ == '__main__':
    run_command(main)
