"""What the data decide: columns, captions, classes by name, the tokenizer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.registry import DefaultScope

from mvlt.checkpoints.description import tokenizer_of
from mvlt.checkpoints.weights import Weights, is_there
from mvlt.config import counts_classes, heads_of, known_classes, labels_of, with_classes
from mvlt.datasets import PairDataset
from mvlt.datasets.pipeline import named
from mvlt.engine.resolve.run import Run, datasets_of, plain
from mvlt.registry import DATASETS

# arguments of a dataset that the data decide
DECIDED = ('ann_file', 'columns', 'caption', 'attributes', 'caption_templates', 'brand')


def settle_data(run: Run, weights: Weights | None, task: str, resume: bool) -> None:
    """Set columns, captions, class names and the heads' numbers of classes."""
    config = run.config
    if not run.again:
        _decide(run)
    _settle_tokenizer(run, task == 'train' and not resume)
    if task == 'data':
        return
    classes: Mapping[str, Sequence[str]] = {}
    if weights and (task == 'test' or resume):
        classes = weights.classes
    if task == 'train' and config.get('train_dataloader') is not None:
        classes = _classes_of_training(run, classes, weights)
    elif counts_classes(config.get('model')) and not classes:
        classes = _classes_of_training(run, {}, None)
    if counts_classes(config.get('model')):
        source = weights.source if weights and task == 'test' else 'the training data'
        config.model = with_classes(config.model, classes, source)
    heads = heads_of(config.get('model')).items()
    named_by = {head.get('label', name) for name, head in heads if 'num_classes' in head}
    if task == 'test':
        classes = {label: names for label, names in classes.items() if label in named_by}
        _note_other_training_data(run, weights)
    for _, dataset in datasets_of(config):
        if classes and issubclass(_kind(dataset), PairDataset):
            given = {**(dataset.get('classes') or {}), **classes}
            dataset.classes = {label: list(names) for label, names in given.items()}
    unnamed = sorted(named_by - {*weights.classes}) if weights else []
    if unnamed and (task == 'test' or not weights.classes):  # type: ignore[union-attr]
        run.note(
            f'classes: {weights.source} does not name those of {", ".join(unnamed)}; its rows '  # type: ignore[union-attr]
            'are taken for the classes of the data in their order'
        )


def _note_other_training_data(run: Run, weights: Weights | None) -> None:
    """Note where a test reads the data differently from the training."""
    if weights is None or weights.config is None:
        return
    trained: Any = next((dataset for _, dataset in datasets_of(weights.config)), {})
    tested: Any = next((dataset for _, dataset in datasets_of(run.config)), {})
    for key in ('caption', 'columns'):
        before, now = plain(trained.get(key)), plain(tested.get(key))
        if before and now and before != now:
            run.note(f'trained on {key} {before!r}, tested on {now!r}')
    for key in ('split_by', 'split_seed'):
        before, now = trained.get(key) or None, tested.get(key) or None
        if trained and before != now:
            run.note(
                f'trained on {key} {before!r}, tested on {now!r}: the test split may contain '
                'training products'
            )


def _decide(run: Run) -> None:
    """Let each dataset decide its arguments; note the changes."""
    changes: dict[str, list[str]] = {}
    splits = []
    for loader, dataset in datasets_of(run.config):
        decide = getattr(_kind(dataset), 'decide', None)
        if decide is None:
            continue
        splits.append(loader.removesuffix('_dataloader'))
        decided, sources = decide(dataset)
        for key, value in decided.items():
            value = list(value) if isinstance(value, tuple) else value
            if plain(dataset.get(key) or None) != plain(value or None):
                line = f'{key} {value!r} ({sources[key]})'
                changes.setdefault(line, []).append(splits[-1])
            dataset[key] = value
    for line, where in changes.items():
        run.note(f'{"" if where == splits else ", ".join(where) + " "}data: {line}')


def _classes_of_training(
    run: Run, stored: Mapping[str, Sequence[str]], weights: Weights | None
) -> dict[str, list[str]]:
    """Label -> class names of the training data, in the checkpoint's order if there is one.

    Raises:
        ValueError: a resumed training, and its data have new classes.
    """
    config = run.config
    if config.get('train_dataloader') is None:
        raise KeyError(
            f"{config.filename}: num_classes='data' needs a train_dataloader, whose classes count"
        )
    settings = dict(next(datasets_of(config))[1], pipeline=[])
    kind = _kind(settings)
    if not issubclass(kind, PairDataset):
        return dict(stored)  # type: ignore[arg-type]
    given = {**(settings.get('classes') or {}), **{k: list(v) for k, v in stored.items()}}
    with DefaultScope.overwrite_default_scope('mvlt'):
        dataset = DATASETS.build(dict(settings, classes=given or None))
    meta = dataset.metainfo
    for label in labels_of(meta):
        names, trained = list(meta[label]), meta[f'{label}_trained']
        if label in given and names[trained:]:
            source = weights.source if weights else str(config.filename)
            raise ValueError(
                f'{source} does not know the {label} {", ".join(names[trained:][:5])} of the '
                'training data. A resumed or repeated run keeps its classes; to learn new ones, '
                'start a new training with the recipe and --from'
            )
    return known_classes(meta)


def _settle_tokenizer(run: Run, begins: bool) -> None:
    """Put a tokenizer that this run trains into its work dir; a new training trains it anew."""
    settings = tokenizer_of(run.config)
    hook: Any = (run.config.get('default_hooks') or {}).get('tokenizer') or {}
    if settings is None or hook.get('train_size') is None:
        return
    trained = str(Path(run.config.work_dir) / 'tokenizer')
    if not is_there(settings.get('tokenizer')):
        set_tokenizer(run, trained, 'this run')
    hook.anew = begins and tokenizer_of(run.config)['tokenizer'] == trained  # type: ignore[index]


def set_tokenizer(run: Run, tokenizer: str | None, source: str) -> None:
    """Let every pipeline step with a tokenizer read ``tokenizer``; None changes nothing."""
    for _, dataset in datasets_of(run.config):
        for step in named(dataset.get('pipeline')).values():
            if tokenizer and step.get('tokenizer') not in (None, tokenizer):
                step.tokenizer = tokenizer
                run.note(f'tokenizer: {tokenizer} (of {source})')


def _kind(dataset: Mapping[str, Any]) -> Any:
    kind = dataset['type']
    return DATASETS.get(kind) if isinstance(kind, str) else kind
