"""Read checkpoints without running their contents."""

import argparse
import json
import os
import pickle
import re
import zipfile
from importlib import import_module
from typing import Any

import numpy as np
import torch
from mmengine.fileio import register_backend
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from mvlt.files import WholeFileBackend
from mvlt.mmengine_private import replace_loaders

# identify a checkpoint's training
RUN_FACTS = ('experiment_name', 'seed', 'epoch', 'iter')
_multiarray: Any = import_module(
    'numpy._core.multiarray' if hasattr(np, '_core') else 'numpy.core.multiarray'
)


def _history_method(owner: Any, name: str) -> Any:
    """The four attributes that HistoryBuffer's pickle looks up with `getattr`."""
    if owner is HistoryBuffer and name in ('min', 'max', 'mean', 'current'):
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f'refused to look up {name!r}')


# mmengine's checkpoints hold the log's history beside tensors and plain containers.
# Nothing in this list can call, import or look up anything by name.
_ALLOWED: list[Any] = [
    HistoryBuffer,
    argparse.Namespace,  # research code stores its command line: plain attributes
    (_history_method, 'builtins.getattr'),
    np.ndarray,
    np.dtype,
    _multiarray._reconstruct,
    _multiarray.scalar,
    *{type(np.dtype(kind)) for kind in ('f4', 'f8', 'i4', 'i8', 'u4', 'u8', '?')},
]


def read_checkpoint(path: str) -> dict[str, Any]:
    """Load ``.safetensors``, or ``.pth`` with ``weights_only=True``, onto the CPU.

    Raises:
        FileNotFoundError, ValueError: no such file, not a checkpoint, a file cut short, or contents
            that would run code.
    """
    try:
        if path.endswith('.safetensors'):
            return load_file(path)
        with torch.serialization.safe_globals(_ALLOWED):
            checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path}: no such checkpoint') from error
    except pickle.UnpicklingError as error:
        asked = re.search(r'GLOBAL (\S+)', str(error))
        raise ValueError(
            f'{path}: refused, it holds more than tensors and plain data, or is not a checkpoint'
            + (f': it asks for {asked[1]}' if asked else '')
        ) from error
    except (
        EOFError,
        RuntimeError,
        OSError,
        zipfile.BadZipFile,
        KeyError,
        SafetensorError,
    ) as error:
        if str(error).startswith('DataLoader worker'):  # a signal of a worker's death, not the file
            raise
        raise ValueError(
            f'{path}: not a readable checkpoint, perhaps cut short ({error})'
        ) from error
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{path}: a checkpoint is a dict, this holds {type(checkpoint).__name__}')
    return checkpoint


def run_of(path: str) -> dict[str, Any]:
    """A checkpoint's training: name, seed, length and initial weights; {} if unknown.

    A published or converted ``.safetensors`` file has them in its metadata, under ``run``.
    """
    if path.endswith('.safetensors'):
        try:
            with safe_open(path, 'pt') as file:
                facts = json.loads((file.metadata() or {}).get('run', '{}'))
        except (SafetensorError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}
    meta = read_checkpoint(path).get('meta') or {}
    return {key: meta[key] for key in (*RUN_FACTS, 'started_from') if key in meta}


def load_from_local(filename: str, map_location: Any = None) -> dict[str, Any]:
    checkpoint = read_checkpoint(os.path.expanduser(filename))
    if filename.endswith('.safetensors'):  # mmengine's hooks look for the key
        checkpoint = dict(state_dict=checkpoint)
    # mmengine runs this text as a config when it resumes
    if isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop('config', None)
    return checkpoint


def load_from_http(filename: str, map_location: Any = None) -> dict[str, Any]:
    path = os.path.join(torch.hub.get_dir(), 'checkpoints', os.path.basename(filename))
    if not os.path.isfile(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        torch.hub.download_url_to_file(filename, path)
    return load_from_local(path)


def _refuse(filename: str, map_location: Any = None) -> dict[str, Any]:
    raise ValueError(f'{filename}: fetch it first and name the local file')


def use_safe_files() -> None:
    """Make mmengine write files whole and read checkpoints with :func:`read_checkpoint`.

    For the whole process: ``load_from``, ``resume`` and ``init_cfg`` of mmengine unpickle.
    """
    register_backend('local', WholeFileBackend, force=True, prefixes='')
    replace_loaders(_refuse)
    for prefix in ('http://', 'https://'):
        CheckpointLoader.register_scheme(prefixes=prefix, loader=load_from_http, force=True)
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
