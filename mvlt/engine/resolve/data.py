"""What the data say: columns, captions, classes by name, the tokenizer."""

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
DECIDED = ('ann_file', 'columns', 'caption', 'attributes', 'caption_templates')


def settle_data(run: Run, weights: Weights | None, task: str, resume: bool) -> None:
    """Columns, captions, classes by name, and as many outputs of each head."""
    config = run.config
    if not run.again:
        _decide(run)
    _settle_vocabulary(run, task == 'train' and not resume)
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
    if task == 'test':  # another head's classes are no matter of this test
        classes = {label: names for label, names in classes.items() if label in named_by}
        _say_what_it_was_trained_on(run, weights)
    for _, dataset in datasets_of(config):
        if classes and issubclass(_kind(dataset), PairDataset):
            given = {**(dataset.get('classes') or {}), **classes}
            dataset.classes = {label: list(names) for label, names in given.items()}
    unnamed = sorted(named_by - {*weights.classes}) if weights else []
    if unnamed and (task == 'test' or not weights.classes):  # type: ignore[union-attr]
        run.say(
            f'classes: {weights.source} does not name those of {", ".join(unnamed)}; its rows '  # type: ignore[union-attr]
            'are taken for the classes of the data in their order'
        )


def _say_what_it_was_trained_on(run: Run, weights: Weights | None) -> None:
    """Where a test reads the data otherwise than the training did."""
    if weights is None or weights.config is None:
        return
    held: Any = next((dataset for _, dataset in datasets_of(weights.config)), {})
    tested: Any = next((dataset for _, dataset in datasets_of(run.config)), {})
    for key in ('caption', 'columns'):
        ours, theirs = (plain(side.get(key)) for side in (tested, held))
        if ours and theirs and ours != theirs:
            run.say(f'trained on {key} {theirs!r}, tested on {ours!r}')


def _decide(run: Run) -> None:
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
        run.say(f'{"" if where == splits else ", ".join(where) + " "}data: {line}')


def _classes_of_training(
    run: Run, stored: Mapping[str, Sequence[str]], weights: Weights | None
) -> dict[str, list[str]]:
    """Label -> names of the training data, by name, or as a checkpoint numbers them.

    Raises:
        ValueError: the data have classes that the training which goes on does not know.
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
                'training data, and a run that goes on or is run again keeps its classes; '
                'start a training of its own with the recipe and --from: it keeps what is '
                'known and learns the new ones'
            )
    return known_classes(meta)


def _settle_vocabulary(run: Run, begins: bool) -> None:
    """One that is trained by this run lies in its work dir: the data are the user's.

    A training that ``begins`` makes it anew, whatever an earlier one has left there.
    """
    settings = tokenizer_of(run.config)
    hook: Any = (run.config.get('default_hooks') or {}).get('tokenizer') or {}
    if settings is None or hook.get('train_size') is None:
        return
    trained = str(Path(run.config.work_dir) / 'tokenizer')
    if not is_there(settings.get('tokenizer')):
        set_vocabulary(run, trained, 'this run')
    hook.anew = begins and tokenizer_of(run.config)['tokenizer'] == trained  # type: ignore[index]


def set_vocabulary(run: Run, tokenizer: str | None, source: str) -> None:
    """Let every step that reads one read ``tokenizer``; None changes nothing."""
    for _, dataset in datasets_of(run.config):
        for step in named(dataset.get('pipeline')).values():
            if tokenizer and step.get('tokenizer') not in (None, tokenizer):
                step.tokenizer = tokenizer
                run.say(f'tokenizer: {tokenizer} (of {source})')


def _kind(dataset: Mapping[str, Any]) -> Any:
    kind = dataset['type']
    return DATASETS.get(kind) if isinstance(kind, str) else kind
