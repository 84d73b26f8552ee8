"""A trained model as one folder of data, which is used, passed on and put on a hub as it is.

=====================  ============================================================
``config.json``        :class:`mvlt.trained.description.ModelDescription`
``model.safetensors``  the weights
``tokenizer.json``     the vocabulary, with the other files of a tokenizer of transformers
``README.md``          the model card
``SHA256SUMS``         hashes of the others, as sha256sum writes them
=====================  ============================================================
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from safetensors.torch import save_file

import mvlt
from mvlt.config import heads_of
from mvlt.datasets import Tokenize, load_vocabulary
from mvlt.datasets.pipeline import named
from mvlt.datasets.vocabulary import FILES as VOCABULARY_FILES
from mvlt.files import file_sha256, read_json
from mvlt.trained.checkpoint import read_checkpoint
from mvlt.trained.description import (
    LEGAL_READING,
    ModelDescription,
    checked,
    describe,
    is_transform,
    known_classes,
    reading_of,
    stored_config,
    tokenizer_of,
    training_only,
)
from mvlt.trained.fit import compare

WEIGHTS = 'model.safetensors'
_CONFIG = 'config.json'
_RANKING = ('itc', 'itm', 'mlm')  # heads that rankings ask
_SUMS = 'SHA256SUMS'
_FORMAT = 1


class ModelFolder(NamedTuple):
    """A folder whose hashes are right and whose description is safe to build."""

    path: Path
    description: ModelDescription

    @property
    def weights(self) -> str:
        """Path of the weights."""
        return str(self.path / WEIGHTS)


def is_model_folder(path: str | Path) -> bool:
    """Whether ``path`` is meant as one: a folder with a ``config.json``."""
    return (Path(path) / _CONFIG).is_file()


def read_model_folder(path: str | Path) -> ModelFolder:
    """Open a folder of :func:`write_model_folder`; nothing in it is run.

    Raises:
        FileNotFoundError, ValueError: a file is missing, is not the one that was published, or asks
            for what this version does not have; the message names it.
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f'{path}: no such model folder; tools/model_converters/publish.py')
    sums = _read_sums(path)
    for name, digest in sums.items():
        if name == 'README.md':  # whoever passes a model on may add to its card
            continue
        if not (path / name).is_file():
            raise FileNotFoundError(f'{path / name}: missing from the model folder; fetch it again')
        if file_sha256(path / name) != digest:
            raise ValueError(
                f'{path / name}: not the file that was published (its SHA-256 is another one than '
                f'in {_SUMS}); fetch it again'
            )
    for name in VOCABULARY_FILES:
        if name not in sums and (path / name).exists():
            raise ValueError(
                f'{path / name} is not in {_SUMS}: it would change what words mean; delete it'
            )
    content = read_json(str(path / _CONFIG), 'fetch the folder again')
    version = content.pop('format', None) if isinstance(content, dict) else None
    if version != _FORMAT:
        raise ValueError(
            f'{path / _CONFIG}: format {version}, this version of mvlt reads {_FORMAT}'
        )
    content.pop('mvlt_version', None)
    return ModelFolder(path, checked(content, str(path / _CONFIG)))


def write_model_folder(
    out: str | Path,
    description: ModelDescription,
    state: Mapping[str, torch.Tensor],
    vocabulary: str,
    card: str,
    run: Mapping[str, Any] | None = None,
) -> Path:
    """Write the folder, whole or not at all.

    Args:
        out: the folder to make; it must not be there yet, or be empty.
        description: of the model.
        state: its tensors; others are left out.
        vocabulary: folder or hub name of the tokenizer.
        card: Markdown.
        run: what :func:`mvlt.trained.checkpoint.run_of` says of the weights.

    Raises:
        FileExistsError, FileNotFoundError, ValueError: ``out`` is in use; the vocabulary is no
            folder; a tensor is missing or has another shape.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f'{out} is there and not empty: name a new folder')
    words = load_vocabulary(vocabulary)
    rows = (description.model.get('backbone') or {}).get('vocab_size')
    if rows is not None and len(words) > rows:
        raise ValueError(
            f"vocabulary '{vocabulary}' has {len(words)} word pieces, the model {rows}"
        )
    tensors = fitting(description, state)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f'.{out.name}.{uuid4().hex}')
    partial.mkdir()
    try:
        save_file(tensors, partial / WEIGHTS, metadata=weights_metadata(run))
        content = dict(format=_FORMAT, mvlt_version=mvlt.__version__, **description._asdict())
        (partial / _CONFIG).write_text(
            json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + '\n', 'utf-8'
        )
        words.save(partial)
        (partial / 'README.md').write_text(card, 'utf-8')
        names = sorted(one.name for one in partial.iterdir())
        (partial / _SUMS).write_text(
            ''.join(f'{file_sha256(partial / name)}  {name}\n' for name in names), 'utf-8'
        )
        # safetensors lets nobody else read what it writes
        shutil.copymode(partial / _CONFIG, partial / WEIGHTS)
        partial.replace(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return out


def weights_metadata(run: Mapping[str, Any] | None) -> dict[str, str]:
    """What a weights file says of itself."""
    return dict(format='pt', **(dict(run=json.dumps(run)) if run else {}))


def fitting(
    description: ModelDescription, state: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Those tensors of ``state`` that the model has, each with memory of its own.

    Raises:
        ValueError: one is missing or has another shape.
    """
    with torch.device('meta'):
        own = description.build().state_dict()
    compare(own, state).require('the checkpoint')
    return {key: state[key].detach().clone().contiguous() for key in own if key in state}


def adopt(config: Config, description: ModelDescription, vocabulary: str, training: bool) -> None:
    """Let a config's run use a trained model: its architecture, preprocessing and vocabulary.

    The config keeps its data, its schedule and its choice of heads, but for rankings: they ask
    those that the folder has. In training, category heads stay the config's, since the classes are
    those of the new data.

    Raises:
        ValueError: the config asks for a head that the model does not have.
    """
    published = description.model
    config.model.backbone = published['backbone']
    config.model.data_preprocessor = published['data_preprocessor']
    if config.model.get('neck') and (published.get('neck') or not training):
        config.model.neck = published.get('neck')
    own = description.heads
    if not training and 'encoder' in (config.get('test_cfg') or {}):
        # which of them is asked is said by test_cfg.order and the encoder
        config.model.heads = {name: own[name] for name in _RANKING if name in own}
    for name, head in heads_of(config.model).items():
        if training and ('num_classes' in head or name not in own):
            continue  # its classes are those of the new data; a new head starts at random
        if training and not _same_type(head, own[name]):  # another objective over the same sizes
            sizes = head.keys() & own[name].keys() - {'type', 'loss_weight'}
            config.model.heads[name] = {**head, **{key: own[name][key] for key in sizes}}
            continue
        if name not in own:
            raise ValueError(
                f'{config.filename} asks {vocabulary} for head {name!r}: '
                + description.lacks(f'head {name!r}')
            )
        kept = {'loss_weight', *(training_only(head) if training else ())}
        learns = {key: value for key, value in head.items() if key in kept}
        config.model.heads[name] = {**own[name], **learns}
    reading = description.transforms(vocabulary)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        dataset = (config.get(loader) or {}).get('dataset')
        while dataset is not None:
            if dataset.get('pipeline'):
                dataset.pipeline = _with_reading(named(dataset.pipeline), reading, vocabulary)
            dataset = dataset.get('dataset')
    if not training and set(description.categories) & set(heads_of(config.model)):
        names = description.categories.items()
        by_label = {description.label(head): one for head, one in names}
        hook = dict(type='ClassNamesHook', categories=by_label)
        config.setdefault('default_hooks', {})['class_names'] = hook


def _sizes(backbone: Mapping[str, Any]) -> str:
    """A backbone's settings, those aside that do not matter once it is trained."""
    aside = ('type', 'init_cfg', 'init_std', 'drop_path_rate', 'word_dropout')
    return json.dumps({key: backbone[key] for key in sorted(backbone) if key not in aside})


def _pictures(reading: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The steps that pictures are read by."""
    return [one for one in reading.values() if is_transform(one, *LEGAL_READING)]


def _same_type(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return str(one['type']).rpartition('.')[2] == str(other['type']).rpartition('.')[2]


def use_checkpoint(config: Config, path: str, training: bool = False) -> str:
    """Let ``config`` start from a checkpoint or a model folder; the path of the weights.

    Raises:
        FileNotFoundError, ValueError: of a model folder, see :func:`read_model_folder`.
    """
    if is_model_folder(path):
        folder = read_model_folder(path)
        adopt(config, folder.description, str(folder.path), training)
        config.load_from = folder.weights
    else:
        if '://' not in path and not Path(path).exists():
            raise FileNotFoundError(
                f'{path}: no such checkpoint or model folder'
                + ('; --from names what training starts from' if training else '')
            )
        config.load_from = path
        if not training and '://' not in path:
            _adopt_of_checkpoint(config, path)
    return config.load_from


def _adopt_of_checkpoint(config: Config, path: str) -> None:
    """Let a protocol test a checkpoint as the model that its own config tells.

    That is done where the backbone is another one, or pictures were read otherwise.
    """
    tokenizer = tokenizer_of(config)
    if tokenizer is None or not config.model.get('backbone'):
        return
    try:
        meta = read_checkpoint(path).get('meta') or {}
        held = stored_config(meta['cfg'], path)
        description = describe(held, known_classes(meta.get('dataset_meta') or {}), path)
    except (KeyError, ValueError):
        return  # no config, or none that is plain data: it must be the config's own model
    own, theirs = config.model.backbone, description.model['backbone']
    if not _same_type(own, theirs) or _sizes(own) != _sizes(theirs):
        differs = 'backbone'
    elif _pictures(reading_of(config)) != _pictures(description.preprocessing):
        differs = 'way to read pictures'
    else:
        return
    print_log(f"{path}: not the config's {differs}; its own model is tested", 'current')
    adopt(config, description, tokenizer['vocabulary'], False)


def _with_reading(
    pipeline: dict[str, dict], reading: dict[str, dict], vocabulary: str
) -> dict[str, dict]:
    """``pipeline`` with its reading of pictures and captions exchanged.

    How pictures are cropped and resized is the folder's; what is done at random the config's.
    """
    kept = {
        name: one
        for name, one in pipeline.items()
        if not is_transform(one, *LEGAL_READING, Tokenize)
    }
    for one in kept.values():
        if 'vocabulary' in one:
            one['vocabulary'] = vocabulary
    names = [name for name in pipeline if name in kept or name in reading]
    for before, name in zip(['', *reading], reading):
        if name not in names:
            names.insert(names.index(before) + 1 if before else 0, name)
    return {name: kept[name] if name in kept else reading[name] for name in names}


def _read_sums(path: Path) -> dict[str, str]:
    try:
        lines = (path / _SUMS).read_text('utf-8').splitlines()
        found = {name: digest for digest, name in (line.split('  ', 1) for line in lines)}
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{path} has no {_SUMS}: not a folder of tools/model_converters/publish.py'
        ) from error
    except ValueError as error:
        raise ValueError(f'{path / _SUMS}: not lines of hash and name ({error})') from error
    needed = {_CONFIG, WEIGHTS}
    if needed - found.keys() or not set(VOCABULARY_FILES) & found.keys():
        raise ValueError(f'{path / _SUMS} must name {_CONFIG}, {WEIGHTS} and a vocabulary')
    if any(Path(name).name != name for name in found):
        raise ValueError(f'{path / _SUMS} names a file outside the folder')
    return found
