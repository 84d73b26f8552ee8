"""The only code that changes a config: what command line, model and data settle is written into it.

    config = resolve(load_config('mvlt/recognition_catalogue', data_root='shop'))

What comes out is the run: it is what is dumped into the work dir, kept in checkpoints and told in
``results.json``. Its key ``resolved`` lists what was changed, a line each; a config that has it is
the dump of a run, and runs again whatever has become of ``products.json``.

A config with a ``model`` is a recipe: a checkpoint must fit it. One without is a protocol: it tests
the model of the folder or checkpoint that is named.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mvlt.checkpoints.description import (
    LEGAL_READING,
    ModelDescription,
    differences,
    import_parts,
    is_transform,
    pipeline_of,
    reading_of,
    tokenizer_of,
    training_only,
)
from mvlt.checkpoints.weights import Weights, is_there, read_weights
from mvlt.config import counts_classes, heads_of, known_classes, labels_of, with_classes
from mvlt.datasets import PairDataset, Tokenize
from mvlt.datasets.pipeline import named
from mvlt.registry import DATASETS

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# arguments of a dataset that the data decide, and others that a training goes on with
DECIDED = ('ann_file', 'columns', 'caption', 'attributes', 'wordings')
_KEPT = (*DECIDED, 'split', 'split_seed', 'split_ratios', 'missing')
_OF_MODEL = ('model', 'load_from', 'vocabulary', 'classes', 'pictures', 'test_cfg', 'trained on')
Task = Literal['train', 'test', 'data']


def resolve(
    config: Config,
    task: Task = 'train',
    model: str | None = None,
    *,
    resume: str | None = None,
    work_dir: str | None = None,
    launcher: str = 'none',
    amp: bool = False,
) -> Config:
    """The config that runs; ``config`` itself stays as it was read.

    Args:
        config: of :func:`mvlt.config.load_config`, or the dump of a run.
        task: 'train'; 'test', which needs ``model`` or a config with one; 'data': only what the
            data settle.
        model: a model folder or checkpoint: what is tested, or what training starts from, in the
            place of the config's ``load_from``.
        resume: the checkpoint that a training goes on from.
        work_dir: None = the config's, else work_dirs/<name of its file>.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        amp: train in bfloat16.

    Raises:
        FileNotFoundError, KeyError, ValueError: the data are wrong; the model does not fit; a
            protocol is to be trained.
    """
    config = copy.deepcopy(config)
    run = _Run(config)
    run.settle_forms()
    run.settle_place(work_dir, launcher, amp)
    weights = None
    if task == 'test':
        weights = read_weights(model) if model else None
        run.take_tested(weights)
    elif task == 'train':
        if config.get('model') is None:
            raise ValueError(
                f'{config.filename} is a protocol, it has no model to train; take a recipe, e.g. '
                'configs/mvlt/towers_catalogue.py'
            )
        start = model or config.get('load_from')
        if resume:
            weights = read_weights(resume)
        elif start:
            weights = read_weights(start)
        run.take_start(weights, bool(resume))
    run.settle_data(weights, task, bool(resume))
    config.resolved = run.changes
    return config


def place_of(config: Config, work_dir: str | None = None) -> str:
    """The folder of a run: ``work_dir``, else the config's, else work_dirs/<name of its file>."""
    stem = Path(str(config.filename or 'run')).stem
    return work_dir or config.get('work_dir') or str(Path('work_dirs') / stem)


class _Run:
    """A config on its way; ``changes`` says what has happened to it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.again = 'resolved' in config  # the dump of a run
        self.changes: list[str] = list(config.get('resolved') or [])

    def say(self, line: str) -> None:
        """Note a change, once."""
        if line not in self.changes:
            self.changes.append(line)

    def forget_other_models(self, weights: Weights | None) -> None:
        """Leave out what the dump of another run says of its model."""
        source = weights.source if weights else ''
        self.changes = [
            line
            for line in self.changes
            if not line.startswith(_OF_MODEL) or source in line or 'of this run' in line
        ]

    # what the config alone says, in the forms that mmengine reads

    def settle_forms(self) -> None:
        """Schedulers become a list, hooks that are None go, without val_cfg nothing is validated.

        A scheduler that would begin when the training is over is left out.
        """
        config = self.config
        schedulers = config.get('param_scheduler')
        if isinstance(schedulers, dict) and 'type' not in schedulers:
            schedulers = list(schedulers.values())
        if isinstance(schedulers, list):
            loop = config.get('train_cfg') or {}
            by_epoch = 'max_epochs' in loop
            length = loop.get('max_epochs' if by_epoch else 'max_iters', float('inf'))

            def acts(scheduler: Mapping[str, Any]) -> bool:
                same_unit = scheduler.get('by_epoch', True) == by_epoch
                begins = scheduler.get('begin', 0) < length
                return 'end' in scheduler or not same_unit or begins

            config.param_scheduler = [item for item in filter(None, schedulers) if acts(item)]
            for item in filter(None, schedulers):
                if not acts(item):
                    kind = str(item['type']).rpartition('.')[2]
                    self.say(f'param_scheduler: without {kind}, it begins at {item["begin"]}')
        if 'val_cfg' in config and config.val_cfg is None:
            config.val_dataloader = config.val_evaluator = None
        hooks = config.get('default_hooks') or {}
        for name in [key for key in hooks if hooks[key] is None and key not in _MMENGINE_HOOKS]:
            del hooks[name]

    def settle_place(self, work_dir: str | None, launcher: str, amp: bool) -> None:
        """Where and on what it runs."""
        config = self.config
        config.work_dir = place_of(config, work_dir)
        config.launcher = launcher
        if amp:
            config.optim_wrapper.type = 'mvlt.BFloat16OptimWrapper'
            self.say('optim_wrapper: bfloat16 (--amp)')
        if launcher == 'pytorch' and not torch.cuda.is_available():
            config.model_wrapper_cfg = dict(
                type='MMDistributedDataParallel',
                device_ids=None,
                broadcast_buffers=False,
                find_unused_parameters=config.get('find_unused_parameters', False),
            )
        if not torch.cuda.is_available() and config.get('sync_bn'):
            config.sync_bn = None
            if launcher != 'none':  # one process has nobody to share with
                self.say('sync_bn: none, PyTorch has it for no CPU; each process counts its own')

    # what a model brings

    def take_tested(self, weights: Weights | None) -> None:
        """The model that is tested: a recipe's own, or, of a protocol, the one that is named."""
        config = self.config
        self.forget_other_models(weights)
        config.resume = False
        config.load_from = weights.path if weights else None
        if config.get('model') is not None:
            if weights and counts_classes(config.model) and weights.classes:
                config.model = with_classes(config.model, weights.classes, weights.source)
            self._check_fits(weights, heads=True)
            if weights and weights.description:
                self._say_how_pictures_are_read(weights)
                if weights.config is None:
                    self._without_training(weights)
            self._use_vocabulary(weights)
            return
        if weights is None:
            raise ValueError(
                f'{config.filename} is a protocol, it has no model: name a model folder or a '
                'checkpoint'
            )
        if weights.description is None:
            raise ValueError(
                f'{weights.source}: {weights.why}; a protocol tests a published folder '
                '(tools/model_converters/publish.py) or a checkpoint that holds its config. Test '
                'other weights with their recipe'
            )
        description = weights.description
        asked = config.get('test_heads')
        heads = [name for name in description.heads if asked is None or name in asked]
        if not heads:
            lacking = description.lacks(f'head {" or ".join(asked)}')
            raise ValueError(f'{config.filename}: {lacking}')
        config.model = description.settings(heads)
        self.say(f'model: that of {weights.source}, heads {", ".join(heads)}')
        self._set_rerank(description, heads)
        reading = description.transforms(weights.vocabulary or '')
        for _, dataset in datasets_of(config):
            dataset.pipeline = _with_reading(named(dataset.pipeline), reading)
        self._set_vocabulary(weights.vocabulary, weights.source)

    def _set_rerank(self, description: ModelDescription, heads: Sequence[str]) -> None:
        """Rank by what the model has: embeddings, or a matching head."""
        test_cfg = self.config.get('test_cfg')
        if not test_cfg or 'rerank' not in test_cfg:
            return
        matches, embeds = (
            bool({*description.that_give(what)} & {*heads}) for what in ('match', 'embedding')
        )
        if test_cfg.rerank is not None and embeds and not matches:
            test_cfg.rerank = None
            self.say('test_cfg.rerank: None, the model has no matching head (itm)')
        elif test_cfg.rerank != 'itm' and matches and not embeds:
            test_cfg.update(rerank='itm', rerank_topk=None)
            self.say('test_cfg.rerank: itm, the model has no head that gives embeddings (itc)')

    def _check_fits(self, weights: Weights | None, heads: bool) -> None:
        """Refuse weights of another network than the recipe's; ``heads`` too, or not."""
        if weights is None:
            return
        if weights.description is None:
            if weights.config is not None:
                self.say(
                    f'model: {weights.source} does not tell its network ({weights.why}); only '
                    'names and shapes of its tensors are compared'
                )
            return
        import_parts(self.config)
        if lines := differences(self.config, weights.description, heads):
            raise ValueError(
                f'{weights.source} is not of {self.config.filename}: {"; ".join(lines[:3])}. Name '
                'the recipe that it was trained with (its dump lies in its work dir), or test it '
                'with a protocol (configs/README.md), or with --cfg-options model=None as what it '
                'is'
            )

    def _say_how_pictures_are_read(self, weights: Weights) -> None:
        ours, theirs = (
            [step for step in reading.values() if is_transform(step, *LEGAL_READING)]
            for reading in (reading_of(self.config), weights.description.preprocessing)  # type: ignore[union-attr]
        )
        if pipeline_of(self.config, 'test_dataloader') and _plain(ours) != _plain(theirs):
            self.say(
                f'pictures are read as the recipe says, {ours}; {weights.source} was made for '
                f'{theirs}'
            )

    def _without_training(self, weights: Weights) -> None:
        """Heads without what a published model has no use for; those that only teach go."""
        description: Any = weights.description
        heads = heads_of(self.config.model)
        published = {name for name in heads if name in description.heads}
        for name in heads:
            if name not in published:
                self.config.model.heads[name] = None
                self.say(f'model.heads.{name}: none, {weights.source} is published without')
            for key in training_only(heads[name]) & heads[name].keys():
                if self.config.model.heads[name] is not None:
                    del self.config.model.heads[name][key]
        if not description.model.get('neck') and self.config.model.get('neck'):
            self.config.model.neck = None

    def take_start(self, weights: Weights | None, resume: bool) -> None:
        """What training starts from, or goes on from."""
        config = self.config
        self.forget_other_models(weights)
        config.resume = resume
        config.load_from = weights.path if weights else None
        if weights is None:
            return
        self._check_fits(weights, heads=resume)
        hook = (config.get('default_hooks') or {}).get('load_report')
        if hook is not None and 'classes' in hook:
            del hook['classes']  # of another start
        if not resume:
            self.say(f'load_from: {weights.source}')
            classes = {
                name: list(weights.classes[label])
                for name, label in _labels_of_heads(weights, config).items()
                if label in weights.classes
            }
            if hook is not None and classes:
                hook.classes = classes
        elif weights.config is not None and 'resolved' in weights.config:
            self._take_decisions(weights.config)
        self._use_vocabulary(weights)

    def _take_decisions(self, held: Config) -> None:
        """A training goes on with the columns and captions that it began with."""
        before = {loader: settings for loader, settings in datasets_of(held)}
        for loader, dataset in datasets_of(self.config):
            theirs = before.get(loader, {})
            for key in _KEPT:
                if key in theirs and theirs[key] != dataset.get(key):
                    dataset[key] = theirs[key]
                    self.say(f'{loader}: {key} {theirs[key]!r} (of the checkpoint)')
        self.again = True

    def _use_vocabulary(self, weights: Weights | None) -> None:
        """A folder's vocabulary; a checkpoint's where the config's is not there."""
        if weights is None or weights.vocabulary is None:
            return
        settings = tokenizer_of(self.config)
        if settings is None:
            return
        if weights.config is None or not is_there(settings.get('vocabulary')):
            self._set_vocabulary(weights.vocabulary, weights.source)

    def _set_vocabulary(self, vocabulary: str | None, source: str) -> None:
        for _, dataset in datasets_of(self.config):
            for step in named(dataset.get('pipeline')).values():
                if vocabulary and step.get('vocabulary') not in (None, vocabulary):
                    step.vocabulary = vocabulary
                    self.say(f'vocabulary: {vocabulary} (of {source})')

    # what the data say

    def settle_data(self, weights: Weights | None, task: Task, resume: bool) -> None:
        """Columns, captions, classes by name, and as many outputs of each head."""
        config = self.config
        if not self.again:
            self._decide()
        self._settle_vocabulary(task == 'train' and not resume)
        if task == 'data':
            return
        classes: Mapping[str, Sequence[str]] = {}
        if weights and (task == 'test' or resume):
            classes = weights.classes
        if task == 'train' and config.get('train_dataloader') is not None:
            classes = self._classes_of_training(classes, weights)
        elif counts_classes(config.get('model')) and not classes:
            classes = self._classes_of_training({}, None)
        if counts_classes(config.get('model')):
            source = weights.source if weights and task == 'test' else 'the training data'
            config.model = with_classes(config.model, classes, source)
        heads = heads_of(config.get('model')).items()
        named_by = {head.get('label', name) for name, head in heads if 'num_classes' in head}
        if task == 'test':  # another head's classes are no matter of this test
            classes = {label: names for label, names in classes.items() if label in named_by}
            self._say_what_it_was_trained_on(weights)
        for _, dataset in datasets_of(config):
            if classes and issubclass(_kind(dataset), PairDataset):
                given = {**(dataset.get('classes') or {}), **classes}
                dataset.classes = {label: list(names) for label, names in given.items()}
        unnamed = sorted(named_by - {*weights.classes}) if weights else []
        if unnamed and (task == 'test' or not weights.classes):  # type: ignore[union-attr]
            self.say(
                f'classes: {weights.source} does not name those of {", ".join(unnamed)}; its rows '  # type: ignore[union-attr]
                'are taken for the classes of the data in their order'
            )

    def _say_what_it_was_trained_on(self, weights: Weights | None) -> None:
        """Where a test reads the data otherwise than the training did."""
        if weights is None or weights.config is None:
            return
        held: Any = next((dataset for _, dataset in datasets_of(weights.config)), {})
        tested: Any = next((dataset for _, dataset in datasets_of(self.config)), {})
        for key in ('caption', 'columns'):
            ours, theirs = (_plain(side.get(key)) for side in (tested, held))
            if ours and theirs and ours != theirs:
                self.say(f'trained on {key} {theirs!r}, tested on {ours!r}')

    def _decide(self) -> None:
        changes: dict[str, list[str]] = {}
        splits = []
        for loader, dataset in datasets_of(self.config):
            decide = getattr(_kind(dataset), 'decide', None)
            if decide is None:
                continue
            splits.append(loader.removesuffix('_dataloader'))
            decided, sources = decide(dataset)
            for key, value in decided.items():
                value = list(value) if isinstance(value, tuple) else value
                if _plain(dataset.get(key) or None) != _plain(value or None):
                    line = f'{key} {value!r} ({sources[key]})'
                    changes.setdefault(line, []).append(splits[-1])
                dataset[key] = value
        for line, where in changes.items():
            self.say(f'{"" if where == splits else ", ".join(where) + " "}data: {line}')

    def _classes_of_training(
        self, stored: Mapping[str, Sequence[str]], weights: Weights | None
    ) -> dict[str, list[str]]:
        """Label -> names of the training data, by name, or as a checkpoint numbers them.

        Raises:
            ValueError: the data have classes that the training which goes on does not know.
        """
        config = self.config
        if config.get('train_dataloader') is None:
            raise KeyError(
                f"{config.filename}: num_classes='data' needs a train_dataloader, whose classes "
                'count'
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

    def _settle_vocabulary(self, begins: bool) -> None:
        """One that is trained by this run lies in its work dir: the data are the user's.

        A training that ``begins`` makes it anew, whatever an earlier one has left there.
        """
        settings = tokenizer_of(self.config)
        hook: Any = (self.config.get('default_hooks') or {}).get('vocabulary') or {}
        if settings is None or hook.get('train_size') is None:
            return
        trained = str(Path(self.config.work_dir) / 'vocabulary')
        if not is_there(settings.get('vocabulary')):
            self._set_vocabulary(trained, 'this run')
        hook.anew = begins and tokenizer_of(self.config)['vocabulary'] == trained  # type: ignore[index]


_READING = ('folder', 'init_cfg', 'checkpoint', 'pretrained', 'weights')
_MMENGINE_HOOKS = (
    *('runtime_info', 'timer', 'sampler_seed'),
    *('logger', 'param_scheduler', 'checkpoint'),
)


def _labels_of_heads(weights: Weights, config: Config) -> dict[str, str]:
    """Head -> the label whose classes are its rows, of the model that weights are of."""
    if weights.description is not None:
        return {name: weights.description.label(name) for name in weights.description.categories}
    heads = {**heads_of(config.model), **heads_of((weights.config or {}).get('model'))}
    spread = {name: head for name, head in heads.items() if 'num_classes' in head}
    return {name: head.get('label', name) for name, head in spread.items()}


def datasets_of(config: Config) -> Iterator[tuple[str, Any]]:
    """(loader, settings) of the innermost dataset of each loader that there is."""
    for loader in LOADERS:
        dataset = (config.get(loader) or {}).get('dataset')
        while dataset is not None and 'dataset' in dataset:
            dataset = dataset['dataset']
        if dataset is not None:
            yield loader, dataset


def _kind(dataset: Mapping[str, Any]) -> Any:
    kind = dataset['type']
    return DATASETS.get(kind) if isinstance(kind, str) else kind


def _plain(value: Any) -> Any:
    """Lists in the place of tuples, None values left out: what a dump makes no difference of."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def reads_weights(settings: Any) -> bool:
    """Whether a part of a model is told to read weights of its own."""
    if isinstance(settings, Mapping):
        return any(
            bool(value) if key in _READING else reads_weights(value)
            for key, value in settings.items()
        )
    return isinstance(settings, list | tuple) and any(map(reads_weights, settings))


def _with_reading(
    pipeline: dict[str, dict], reading: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """``pipeline`` with the model's reading of pictures and captions in the place of its own.

    How pictures are cropped and resized is the model's; what is hidden at random the protocol's.
    """
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
