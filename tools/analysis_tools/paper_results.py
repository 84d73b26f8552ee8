"""Results and their cells of the paper's tables."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

RECOGNITION = 'recognition'
RELEASED = 'released weights'
# config of the pre-training -> column
_COLUMNS = {
    'pretrain_fashiongen': 'Final',
    'pretrain_catalogue': 'Final',
    'pretrain_fashiongen_released': 'Released recipe',
    'c2_stroke_released': 'C2 released',
    'c3_square_released': 'C3 released',
    'e1_with_pvt': 'E1 with PVT',
    'pretrain_coco': 'COCO',
    'pretrain_coco_from_fashiongen': 'COCO, from Fashion-Gen',
    'finetune_coco_vilt': 'COCO, ViLT loss',
    'features_regression': 'Features',
    'features_clusters': 'Classes',
    # projects/baselines/
    'vse_catalogue': 'VSE',
    'vse_pp_catalogue': 'VSE++',
    'scan_t2i_catalogue': 'SCAN',
    'pfan_catalogue': 'PFAN',
    'vilbert_catalogue': 'ViLBERT',
    'image_bert_catalogue': 'ImageBERT',
    'fashion_bert_catalogue': 'FashionBERT',
    'vl_bert_catalogue': 'VL-BERT',
    'oscar_catalogue': 'OSCAR',
    'kaleido_bert_catalogue': 'Kaleido-BERT',
    'clip_catalogue': 'CLIP, trained',
    'unicoder_vl_coco': 'Unicoder-VL',
    'uniter_coco': 'UNITER',
    'vilt_coco': 'ViLT',
    'mvlt_paper_catalogue': 'Final',
}


class Result(NamedTuple):
    """A results.json.

    facts: must be equal for pooled results.
    """

    path: Path
    data: str
    protocol: str
    column: str
    seed: Any
    facts: dict[str, Any]
    metrics: dict[str, float]
    checkpoint: str


def read_results(folders: Iterable[Path]) -> tuple[list[Result], list[Path]]:
    """Results with a column, and files without one.

    Raises:
        FileNotFoundError, ValueError: a missing folder, an invalid results.json, or two results of
            a cell that differ in more than the seed.
    """
    results: list[Result] = []
    others = []
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f'{folder}: no such folder')
        for path in sorted(folder.rglob('results.json')):
            try:
                content = json.loads(path.read_text(encoding='utf-8'))
                result = _result(path, content)
            except (json.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
                raise ValueError(f'{path}: not a result of tools/test.py ({error})') from error
            if result is None:
                others.append(path)
            elif not any(_repeats(result, other) for other in results):
                results.append(result)
    return results, others


def _result(path: Path, content: Mapping[str, Any]) -> Result | None:
    run = content.get('run') or {}
    start = run.get('started_from') or run
    metrics = content['metrics']
    column = column_of(run)
    tested = Path(content.get('config') or '').stem
    if content.get('checkpoint') is None and tested == 'clip_catalogue':
        column = 'CLIP'  # pretrained weights of a folder
    protocol = protocol_of(run, content.get('protocol') or {}, metrics)
    if column is None or protocol is None:
        return None
    data = content.get('data') or {}
    listed = {
        key: value for key, value in (content.get('protocol') or {}).items() if key != 'candidates'
    }
    length = [run.get('epoch'), run.get('iter'), start.get('epoch'), start.get('iter')]
    return Result(
        path=path,
        data=', '.join(f'{key} {data[key]}' for key in sorted(data)) or 'data not named',
        protocol=protocol,
        column=column,
        seed=start.get('seed'),
        facts=dict(protocol=listed, length=length, trainings=[_name(run), _name(start)]),
        metrics=metrics,
        checkpoint=content.get('checkpoint_sha256', ''),
    )


def _repeats(new: Result, old: Result) -> bool:
    """Whether both results are the same measurement; raises if they must not be pooled."""
    if (new.data, new.protocol, new.column) != (old.data, old.protocol, old.column):
        return False
    for name, value in new.facts.items():
        if value != old.facts[name]:
            raise ValueError(
                f'{old.path} and {new.path} would share the cell "{new.column}, '
                f'{new.protocol}", but differ in their {name}: {old.facts[name]} and {value}; '
                'give folders with comparable results'
            )
    if new.seed != old.seed or not new.metrics.keys() & old.metrics.keys():
        return False
    if new.checkpoint == old.checkpoint and new.metrics == old.metrics:
        return True
    raise ValueError(
        f'{old.path} and {new.path} are two results of seed {new.seed} for the cell '
        f'"{new.column}, {new.protocol}": give the folder of only one'
    )


def column_of(run: Mapping[str, Any]) -> str | None:
    """Column of the pre-training behind a result, or None."""
    if run.get('source') == 'released':
        return RELEASED
    # a pre-training may start from another one
    for training in (run, run.get('started_from') or {}):
        name = _name(training)
        if name in _COLUMNS:
            return _COLUMNS[name]
        if match := re.match(r'([a-e]\d)_', name):
            return match[1].upper()
    return None


def _name(run: Mapping[str, Any]) -> str:
    """Config of a training; mmengine names runs by config and time."""
    return re.sub(r'_\d+(_\d+)?$', '', run.get('experiment_name', ''))


def protocol_of(
    run: Mapping[str, Any], protocol: Mapping[str, Any], metrics: Mapping[str, float]
) -> str | None:
    """Protocol of a result, e.g. '101' or 'full, fine-tuned'; or None."""
    if any(name.startswith('retrieval/') for name in metrics):
        tuned = run.get('experiment_name', '').startswith('finetune_')
        return protocol.get('name', 'not named') + (', fine-tuned' if tuned else '')
    return RECOGNITION if any('category/' in name for name in metrics) else None
