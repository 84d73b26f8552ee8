"""A trained model as one folder of data, to use, share or upload to a hub.

=====================  ============================================================
``config.json``        :class:`mvlt.checkpoints.description.ModelDescription`
``model.safetensors``  the weights
``tokenizer.json``     the tokenizer, with the other files of a tokenizer of transformers
``README.md``          the model card
``SHA256SUMS``         hashes of the other files, in the format of sha256sum
=====================  ============================================================
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import torch
from safetensors import safe_open
from safetensors.torch import save_file

import mvlt
from mvlt.checkpoints.description import ModelDescription, checked
from mvlt.checkpoints.state_dict import check_finite, compare, unwrapped
from mvlt.datasets import load_tokenizer
from mvlt.datasets.tokenizer import FILES as TOKENIZER_FILES
from mvlt.files import file_sha256, read_json

WEIGHTS = 'model.safetensors'
_CONFIG = 'config.json'
_SUMS = 'SHA256SUMS'
_FORMAT = 1
_MAX_SIDE = 4096  # pixels of an image


class ModelFolder(NamedTuple):
    """A folder with correct hashes and a description that is safe to build."""

    path: Path
    description: ModelDescription

    @property
    def weights(self) -> str:
        """Path of the weights."""
        return str(self.path / WEIGHTS)


def is_model_folder(path: str | Path) -> bool:
    """Whether ``path`` is a folder with a ``config.json``."""
    return (Path(path) / _CONFIG).is_file()


def read_model_folder(path: str | Path) -> ModelFolder:
    """Open a folder of :func:`write_model_folder`; no code in it runs.

    Raises:
        FileNotFoundError, ValueError: a file is missing, was changed, or needs another version.
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(
            f'{path}: no such model folder; make one with tools/model_converters/publish.py'
        )
    sums = _read_sums(path)
    for name, digest in sums.items():
        if name == 'README.md':  # users may extend the model card
            continue
        if not (path / name).is_file():
            raise FileNotFoundError(f'{path / name}: missing from the model folder; fetch it again')
        if file_sha256(path / name) != digest:
            raise ValueError(
                f'{path / name}: not the file that was published (its SHA-256 differs from '
                f'{_SUMS}); fetch it again'
            )
    for name in TOKENIZER_FILES:
        if name not in sums and (path / name).exists():
            raise ValueError(
                f'{path / name} is not in {_SUMS} and would change the tokenizer: delete it'
            )
    content = read_json(str(path / _CONFIG), 'fetch the folder again')
    version = content.pop('format', None) if isinstance(content, dict) else None
    if version != _FORMAT:
        raise ValueError(
            f'{path / _CONFIG}: format {version}, this version of mvlt reads {_FORMAT}; update mvlt'
        )
    content.pop('mvlt_version', None)
    description = checked(content, str(path / _CONFIG))
    _check_sizes(description.model, path)
    return ModelFolder(path, description)


def write_model_folder(
    out: str | Path,
    description: ModelDescription,
    state: Mapping[str, torch.Tensor],
    tokenizer: str,
    card: str,
    run: Mapping[str, Any] | None = None,
) -> Path:
    """Write the folder, whole or not at all.

    Args:
        out: a new or empty folder.
        description: of the model.
        state: the weights; tensors that the model lacks are left out.
        tokenizer: folder or hub name of the tokenizer.
        card: the model card, Markdown.
        run: of :func:`mvlt.checkpoints.checkpoint.run_of` for the weights.

    Raises:
        FileExistsError, FileNotFoundError, ValueError: ``out`` is in use; no such tokenizer; a
            tensor is missing or has another shape.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f'{out} is not empty: name a new folder')
    loaded = load_tokenizer(tokenizer)
    rows = (description.model.get('backbone') or {}).get('vocab_size')
    if rows is not None and len(loaded) > rows:
        raise ValueError(f"tokenizer '{tokenizer}' has {len(loaded)} tokens, the model {rows}")
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
        loaded.save(partial)
        (partial / 'README.md').write_text(card, 'utf-8')
        names = sorted(file.name for file in partial.iterdir())
        (partial / _SUMS).write_text(
            ''.join(f'{file_sha256(partial / name)}  {name}\n' for name in names), 'utf-8'
        )
        # safetensors ignores the umask: its files are readable by their owner alone
        shutil.copymode(partial / _CONFIG, partial / WEIGHTS)
        partial.replace(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return out


def weights_metadata(run: Mapping[str, Any] | None) -> dict[str, str]:
    """Metadata of a ``.safetensors`` file."""
    return dict(format='pt', **(dict(run=json.dumps(run)) if run else {}))


def fitting(
    description: ModelDescription, state: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Copies of the tensors in ``state`` that the model has.

    Raises:
        ValueError: a tensor is missing, has another shape or is not finite.
    """
    try:
        with torch.device('meta'):
            model_state = description.build().state_dict()
    except RuntimeError:  # some parts of other packages read values while they are built
        model_state = description.build().state_dict()
    state = unwrapped(model_state, state, 'the checkpoint')
    compare(model_state, state).require('the checkpoint')
    common = {key: state[key] for key in model_state if key in state}
    check_finite(common, 'the checkpoint')
    return {key: value.detach().clone().contiguous() for key, value in common.items()}


def _check_sizes(model: Mapping[str, Any], path: Path) -> None:
    """Refuse a network that its weights cannot fill, before it is built.

    Raises:
        ValueError: more layers than tensors, or a size above the number of stored bytes.
    """
    with safe_open(path / WEIGHTS, 'pt') as weights:
        tensors = len(weights.keys())
    stored = (path / WEIGHTS).stat().st_size
    for name, number in _integers(model):
        layers = name.startswith(('depth', 'num_layers', 'num_hidden_layers'))
        most = _MAX_SIDE if name in ('image_size', 'img_size') else stored
        most = tensors if layers else most
        if abs(number) > most:
            raise ValueError(
                f'{path / _CONFIG}: {name}={number}, but {WEIGHTS} has {tensors} tensors of '
                f'{stored:,} bytes: this network cannot be of these weights; fetch the folder again'
            )


def _integers(settings: Any, name: str = '') -> Iterator[tuple[str, int]]:
    """Every whole number in nested settings, with the innermost name."""
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            yield from _integers(value, str(key))
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from _integers(value, name)
    elif isinstance(settings, int) and not isinstance(settings, bool):
        yield name, settings


def _read_sums(path: Path) -> dict[str, str]:
    try:
        lines = (path / _SUMS).read_text('utf-8').splitlines()
        sums = {name: digest for digest, name in (line.split('  ', 1) for line in lines)}
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{path} has no {_SUMS}: not a folder of tools/model_converters/publish.py'
        ) from error
    except ValueError as error:
        raise ValueError(f'{path / _SUMS}: not lines of hash and name ({error})') from error
    needed = {_CONFIG, WEIGHTS}
    if needed - sums.keys() or not set(TOKENIZER_FILES) & sums.keys():
        raise ValueError(f'{path / _SUMS} must name {_CONFIG}, {WEIGHTS} and a tokenizer')
    if any(Path(name).name != name for name in sums):
        raise ValueError(f'{path / _SUMS} names a file outside the folder')
    return sums
