"""What a model decides: the tested network, or the start of a training."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from mvlt.checkpoints.description import (
    LEGAL_READING,
    ModelDescription,
    import_parts,
    is_transform,
    pipeline_of,
    reading_of,
    tokenizer_of,
    training_only,
)
from mvlt.checkpoints.differences import differences
from mvlt.checkpoints.weights import Weights, is_there
from mvlt.config import counts_classes, heads_of, with_classes
from mvlt.datasets import Tokenize
from mvlt.datasets.pipeline import named
from mvlt.engine.resolve.data import DECIDED, set_tokenizer
from mvlt.engine.resolve.run import Run, datasets_of, plain
from mvlt.registry import MODELS

# arguments of a dataset that a resumed training keeps
_KEPT = (*DECIDED, 'split', 'split_by', 'split_seed', 'split_ratios', 'missing')
# arguments by which a part of a model reads weights
_READING = ('folder', 'init_cfg', 'checkpoint', 'pretrained', 'weights')


def take_tested(run: Run, weights: Weights | None) -> None:
    """Set the tested model: a recipe's, or, for a protocol, that of the weights."""
    config = run.config
    run.forget_other_models(weights)
    config.resume = False
    config.load_from = weights.path if weights else None
    if config.get('model') is not None:
        _settle_folders(config.model, weights is not None)
        if weights and counts_classes(config.model) and weights.classes:
            config.model = with_classes(config.model, weights.classes, weights.source)
        _check_fits(run, weights, heads=True)
        if weights and weights.description:
            _note_other_preprocessing(run, weights)
            if weights.config is None:
                _without_training(run, weights)
        _use_tokenizer(run, weights)
        return
    if weights is None:
        raise ValueError(
            f'{config.filename} is a protocol, it has no model: name a model folder or a checkpoint'
        )
    if weights.description is None:
        raise ValueError(
            f'{weights.source}: {weights.why}; a protocol tests a published folder '
            '(tools/model_converters/publish.py) or a checkpoint that holds its config. Test '
            'other weights with their recipe'
        )
    description = weights.description
    requested = config.get('test_heads')
    heads = [name for name in description.heads if requested is None or name in requested]
    if not heads:
        lacking = description.lacks(f'head {" or ".join(requested)}')
        raise ValueError(f'{config.filename}: {lacking}')
    config.model = description.settings(heads)
    run.note(f'model: that of {weights.source}, heads {", ".join(heads)}')
    _set_rerank(run, description, heads)
    _read_as(run, weights)


def _set_rerank(run: Run, description: ModelDescription, heads: Sequence[str]) -> None:
    """Rank by embeddings or by the matching head, as the model has them."""
    test_cfg = run.config.get('test_cfg')
    if not test_cfg or 'rerank' not in test_cfg:
        return
    matches, embeds = (
        bool({*description.that_give(what)} & {*heads}) for what in ('match', 'embedding')
    )
    if test_cfg.rerank is not None and embeds and not matches:
        test_cfg.rerank = None
        run.note('test_cfg.rerank: None, the model has no matching head (itm)')
    elif test_cfg.rerank != 'itm' and matches and not embeds:
        test_cfg.update(rerank='itm', rerank_topk=None)
        run.note('test_cfg.rerank: itm, the model has no head that gives embeddings (itc)')


def _check_fits(run: Run, weights: Weights | None, heads: bool) -> None:
    """Refuse weights of another network than the recipe's; ``heads``: compare these, too."""
    if weights is None:
        return
    if weights.description is None:
        if weights.config is not None:
            run.note(
                f'model: {weights.source} does not describe its network ({weights.why}); only '
                'names and shapes of its tensors are compared'
            )
        return
    import_parts(run.config)
    if lines := differences(run.config, weights.description, heads):
        raise ValueError(
            f'{weights.source} is not of {run.config.filename}: {"; ".join(lines[:3])}. Name the '
            'recipe of its training (a dump lies in the work dir), or test it with a protocol '
            '(configs/README.md) or with --cfg-options model=None'
        )


def _note_other_preprocessing(run: Run, weights: Weights) -> None:
    recipe, published = (
        [step for step in reading.values() if is_transform(step, *LEGAL_READING)]
        for reading in (reading_of(run.config), weights.description.preprocessing)  # type: ignore[union-attr]
    )
    if pipeline_of(run.config, 'test_dataloader') and plain(recipe) != plain(published):
        run.note(
            f'images are read as the recipe says, {recipe}; {weights.source} was made for '
            f'{published}'
        )


def _without_training(run: Run, weights: Weights) -> None:
    """Drop heads and settings that only training uses, as the published model does."""
    description: Any = weights.description
    heads = heads_of(run.config.model)
    published = {name for name in heads if name in description.heads}
    for name in heads:
        if name not in published:
            run.config.model.heads[name] = None
            run.note(f'model.heads.{name}: none, {weights.source} is published without')
        for key in training_only(heads[name]) & heads[name].keys():
            if run.config.model.heads[name] is not None:
                del run.config.model.heads[name][key]
    if not description.model.get('neck') and run.config.model.get('neck'):
        run.config.model.neck = None


def take_start(run: Run, weights: Weights | None, resume: bool) -> None:
    """Set the weights that a training starts or resumes from."""
    config = run.config
    run.forget_other_models(weights)
    config.resume = resume
    config.load_from = weights.path if weights else None
    if config.get('model') is None:
        _take_model(run, weights, resume)
    _settle_folders(config.model, resume)
    if weights is None:
        return
    _check_fits(run, weights, heads=resume)
    hook = (config.get('default_hooks') or {}).get('load_report')
    if hook is not None and 'classes' in hook:
        del hook['classes']  # of another start
    if not resume:
        run.note(f'load_from: {weights.source}')
        classes = {
            name: list(weights.classes[label])
            for name, label in _labels_of_heads(weights, config).items()
            if label in weights.classes
        }
        if hook is not None and classes:
            hook.classes = classes
    elif weights.config is not None and 'resolved' in weights.config:
        _take_decisions(run, weights.config)
    _use_tokenizer(run, weights)


def _take_model(run: Run, weights: Weights | None, resume: bool) -> None:
    """Train the weights' model, with its reading of images and captions."""
    config = run.config
    if weights is None or weights.description is None:
        raise ValueError(
            f'{config.filename} trains the model of a folder: name a published one with --from '
            '(tools/model_converters/publish.py, import_folder.py)'
            + (f'; {weights.source}: {weights.why}' if weights else '')
        )
    description = weights.description
    heads = description.that_give('embedding')  # others need labels or wrong pairs
    if not heads:
        raise ValueError(
            f'{weights.source}: {description.lacks("head that gives embeddings (itc)")}'
        )
    config.model = description.settings(heads)
    if resume and weights.config is not None:  # with the settings of training
        config.model = weights.config.model
    run.note(f'model: that of {weights.source}, heads {", ".join(heads)}')
    _read_as(run, weights)


def _read_as(run: Run, weights: Weights) -> None:
    """Let every dataset read images and captions as the weights' model does."""
    reading = weights.description.transforms(weights.tokenizer or '')  # type: ignore[union-attr]
    for _, dataset in datasets_of(run.config):
        dataset.pipeline = _with_reading(named(dataset.pipeline), reading)
    set_tokenizer(run, weights.tokenizer, weights.source)


def _settle_folders(settings: Any, drop: bool) -> None:
    """Write into parts what their folder tells; ``drop`` the folder if weights are loaded."""
    if isinstance(settings, list | tuple):
        for item in settings:
            _settle_folders(item, drop)
    if not isinstance(settings, dict):
        return
    for value in settings.values():
        _settle_folders(value, drop)
    if settings.get('folder') and 'type' in settings:
        kind = settings['type']
        kind = MODELS.get(kind) if isinstance(kind, str) else kind
        describe = getattr(kind, 'published_settings', None)
        if describe is not None:
            settings.update(describe(settings))
            if drop:
                del settings['folder']


def _take_decisions(run: Run, stored: Config) -> None:
    """Keep the columns and captions that the resumed training began with."""
    before = {loader: settings for loader, settings in datasets_of(stored)}
    for loader, dataset in datasets_of(run.config):
        kept = before.get(loader, {})
        for key in _KEPT:
            if key in kept and kept[key] != dataset.get(key):
                dataset[key] = kept[key]
                run.note(f'{loader}: {key} {kept[key]!r} (of the checkpoint)')
    run.again = True


def _use_tokenizer(run: Run, weights: Weights | None) -> None:
    """Use a model folder's tokenizer, and a checkpoint's if the config's is missing."""
    if weights is None or weights.tokenizer is None:
        return
    settings = tokenizer_of(run.config)
    if settings and (weights.config is None or not is_there(settings.get('tokenizer'))):
        set_tokenizer(run, weights.tokenizer, weights.source)


def _labels_of_heads(weights: Weights, config: Config) -> dict[str, str]:
    """Head of the weights' model -> the label whose classes are its rows."""
    if weights.description is not None:
        return {name: weights.description.label(name) for name in weights.description.categories}
    heads = {**heads_of(config.model), **heads_of((weights.config or {}).get('model'))}
    spread = {name: head for name, head in heads.items() if 'num_classes' in head}
    return {name: head.get('label', name) for name, head in spread.items()}


def reads_weights(settings: Any) -> bool:
    """Whether the settings of a part of a model name weights to read."""
    if isinstance(settings, Mapping):
        return any(
            bool(value) if key in _READING else reads_weights(value)
            for key, value in settings.items()
        )
    return isinstance(settings, list | tuple) and any(map(reads_weights, settings))


def _with_reading(
    pipeline: dict[str, dict], reading: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """``pipeline`` with the model's reading of images and captions; masks stay."""
    kept = {
        name: step
        for name, step in pipeline.items()
        if not is_transform(step, *LEGAL_READING, Tokenize)
    }
    names = [name for name in pipeline if name in kept or name in reading]
    for before, name in zip(['', *reading], reading):
        if name not in names:
            names.insert(names.index(before) + 1 if before else 0, name)
    return {name: kept[name] if name in kept else reading[name] for name in names}
