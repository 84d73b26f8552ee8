"""Files that are written whole or not at all."""

import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import numpy as np
from mmengine.fileio import LocalBackend

_PARTIAL = '.partial'


@contextmanager
def written_whole(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that takes the name ``path`` once all of it is on the disk.

    If anything fails, an earlier file of that name stays.

    Raises:
        OSError: the disk is full, or the folder is read-only.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{uuid4().hex}{_PARTIAL}')
    try:
        with open(partial, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)  # else a power cut may undo the new name
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_text(path: str | Path, content: str) -> None:
    """Write a UTF-8 file, whole or not at all."""
    with written_whole(path) as file:
        file.write(content.encode())


def write_json(path: str | Path, content: Any, indent: int | None = 1) -> None:
    """Write JSON, whole or not at all; ``indent`` None puts everything on one line.

    Raises:
        ValueError: a number is not finite, which JSON cannot express.
    """
    write_text(path, json.dumps(content, indent=indent, default=_plain, allow_nan=False) + '\n')


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)


def read_json(path: str, remedy: str) -> Any:
    """The content of a JSON file.

    Raises:
        FileNotFoundError, ValueError: no file, or no JSON; the message ends with ``remedy``.
    """
    try:
        return json.loads(Path(path).read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path}: no such file; {remedy}') from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f'{path}: no JSON, perhaps cut short ({error}); {remedy}') from error


def file_sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def sole_process(path: str | Path, doing: str, per_file: bool = False) -> Iterator[None]:
    """Hold a lock file, which the system frees when the process ends.

    Args:
        path: of the lock file; it and its folder are created.
        doing: what the holder does, for the message to another process.
        per_file: exclude other holders in this process, too. A forked child then keeps the lock.

    Raises:
        ValueError: another process holds it.
    """
    lock_file = fcntl.flock if per_file else fcntl.lockf
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'a+') as lock:
        try:
            # data workers would keep a flock after their process has died
            lock_file(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                yield  # a file system without locks
                return
            lock.seek(0)
            raise ValueError(
                f'{Path(path).parent}: process {lock.read().strip() or "?"} {doing}; wait for it, '
                'stop it, or take another folder'
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def remove_partial(folder: str | Path, older_than: float = 0) -> None:
    """Delete files of a killed process, if unchanged for ``older_than`` seconds."""
    for partial in Path(folder).glob(f'.*{_PARTIAL}'):
        with suppress(FileNotFoundError):
            if time.time() - partial.stat().st_mtime >= older_than:
                partial.unlink()


class WholeFileBackend(LocalBackend):
    """mmengine's local backend, with files that are whole or absent."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        with written_whole(filepath) as file:
            file.write(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        self.put(obj.encode(encoding), filepath)
