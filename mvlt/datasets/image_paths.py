"""Lookup of images in a folder, by the names that tables give them."""

import os
import re
from functools import cached_property
from typing import NamedTuple

from mvlt.datasets.column_guesses import IMAGE

_DEPTH = 4  # levels of folders to search for a bare file name
_SCHEME = re.compile(r'^(?:file:/+|[a-zA-Z]:)')


class _Names(NamedTuple):
    """Names in a folder, by themselves and in lower case; images also without suffix."""

    files: dict[str, str]
    folders: dict[str, str]


class ImageFolder:
    """Files below a folder ``root``; each directory is listed once, on first use.

    Shops' tables name images with backslashes, with a drive or folder of another machine, in
    another case, without suffix, or without their folder.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._listed: dict[str, _Names] = {}

    @property
    def folders(self) -> list[str]:
        """Folders that have been listed."""
        return list(self._listed)

    def has(self, name: str) -> bool:
        """Whether an image is exactly where a cell says."""
        folder, file = os.path.split(os.path.normpath(os.path.join(self.root, name)))
        below = os.path.join(folder, '').startswith(os.path.join(self.root, ''))
        return below and self._names(folder).files.get(file) == file

    def find(self, name: str) -> str | None:
        """Path of the image that a cell means, or None.

        A wrong image is worse than none: only paths of another machine may lose their beginning,
        and only a bare file name is searched for in all folders below, where it must be unique.
        """
        if self.has(name):
            return os.path.normpath(os.path.join(self.root, name))
        plain = name.replace('\\', '/').strip()
        parts = [part for part in _SCHEME.sub('', plain).split('/') if part not in ('', '.')]
        elsewhere = bool(_SCHEME.match(plain)) or plain.startswith(('/', '../'))
        parts = [part for part in parts if part != '..']
        for start in range(len(parts) if elsewhere else min(1, len(parts))):
            if (path := self._walk(self.root, parts[start:])) is not None:
                return path
        if len(parts) == 1:
            paths = next(filter(None, map(self._below.get, _keys(parts[0]))), ())
            return next(iter(paths)) if len(paths) == 1 else None
        return None

    def _walk(self, folder: str, parts: list[str]) -> str | None:
        for part in parts[:-1]:
            folders = self._names(folder).folders
            name = folders.get(part, folders.get(_key(part)))
            if name is None:
                return None
            folder = os.path.join(folder, name)
        files = self._names(folder).files
        name = next((files[key] for key in _keys(parts[-1]) if key in files), None)
        return None if name is None else os.path.join(folder, name)

    def _names(self, folder: str) -> _Names:
        if folder not in self._listed:
            names = _Names({}, {})
            try:
                with os.scandir(folder) as entries:
                    listed = sorted((entry.name, entry.is_dir()) for entry in entries)
            except OSError:
                listed = []
            for name, is_dir in listed:
                if not is_dir and re.search(IMAGE, name):
                    names.files.setdefault(_bare(re.sub(IMAGE, '', name)), name)
            for name, is_dir in listed:
                (names.folders if is_dir else names.files)[_key(name)] = name
            for name, is_dir in listed:
                (names.folders if is_dir else names.files)[name] = name
            self._listed[folder] = names
        return self._listed[folder]

    @cached_property
    def _below(self) -> dict[str, set[str]]:
        """Paths of the files in all folders below the root, by the keys of their names."""
        paths: dict[str, set[str]] = {}
        folders = [self.root]
        for _ in range(_DEPTH):
            folders = [
                os.path.join(folder, name)
                for folder in folders
                for name in sorted(set(self._names(folder).folders.values()))
                if not name.startswith('.')
            ]
            for folder in folders:
                for key, name in self._names(folder).files.items():
                    paths.setdefault(key, set()).add(os.path.join(folder, name))
        return paths


def _keys(name: str) -> tuple[str, str, str]:
    """Keys of a file, the surest first."""
    return name, _key(name), _bare(name)


def _key(name: str) -> str:
    return f'/{name.strip().casefold()}'  # no file name has a slash


def _bare(name: str) -> str:
    """Key of an image without its suffix."""
    return f'//{name.strip().casefold()}'


def below(root: str, name: str, where: str) -> str:
    """Path of an image below ``root``, existing or not; ValueError if it leaves ``root``.

    Args:
        root: the folder.
        name: path in the annotations.
        where: file and row, for the message.
    """
    path = os.path.normpath(os.path.join(root, name))
    if not path.startswith(os.path.join(root, '')):
        raise ValueError(
            f"{where}: image '{name}' lies outside {root}; paths must stay below data_root"
        )
    return path


def check_is_there(path: str, name: str, root: str, where: str) -> None:
    """Raise FileNotFoundError if an image is missing."""
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{where}: no image '{name}' below {root}; add the file or fix the row"
        )
