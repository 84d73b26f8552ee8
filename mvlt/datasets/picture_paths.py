"""Pictures as tables name them, found below one folder."""

import os
import re
from functools import cached_property
from typing import NamedTuple

from mvlt.datasets.column_guesses import PICTURE

_DEPTH = 4  # folders in folders in which a bare name is looked for
_SCHEME = re.compile(r'^(?:file:/+|[a-zA-Z]:)')


class _Names(NamedTuple):
    """Names in a folder by themselves and by their lower case; pictures also without suffix."""

    files: dict[str, str]
    folders: dict[str, str]


class PictureFolder:
    """Files below a folder; each directory is listed once, when it is first asked for.

    Tables of shops name pictures with backslashes, with a drive or a folder of another machine
    before them, in another case, without a suffix, or without the folder that they lie in.

    Args:
        root: the folder.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._listed: dict[str, _Names] = {}

    @property
    def folders(self) -> list[str]:
        """Those that have been listed."""
        return list(self._listed)

    def has(self, name: str) -> bool:
        """Whether a picture lies just where a cell says."""
        folder, file = os.path.split(os.path.normpath(os.path.join(self.root, name)))
        below = os.path.join(folder, '').startswith(os.path.join(self.root, ''))
        return below and self._names(folder).files.get(file) == file

    def find(self, name: str) -> str | None:
        """Path of the picture that a cell means; None where there is none below the folder.

        Only of a path of another machine its beginning is left out, and only a bare name is looked
        for in the folders below, where it must be the only one: another picture is worse than none.
        """
        if self.has(name):
            return os.path.normpath(os.path.join(self.root, name))
        plain = name.replace('\\', '/').strip()
        parts = [part for part in _SCHEME.sub('', plain).split('/') if part not in ('', '.')]
        elsewhere = bool(_SCHEME.match(plain)) or plain.startswith(('/', '../'))
        parts = [part for part in parts if part != '..']
        for start in range(len(parts) if elsewhere else min(1, len(parts))):
            if (found := self._walk(self.root, parts[start:])) is not None:
                return found
        if len(parts) == 1:
            paths = next(filter(None, map(self._below.get, _keys(parts[0]))), ())
            return next(iter(paths)) if len(paths) == 1 else None
        return None

    def _walk(self, place: str, parts: list[str]) -> str | None:
        for part in parts[:-1]:
            known = self._names(place).folders
            name = known.get(part, known.get(_key(part)))
            if name is None:
                return None
            place = os.path.join(place, name)
        known = self._names(place).files
        name = next((known[key] for key in _keys(parts[-1]) if key in known), None)
        return None if name is None else os.path.join(place, name)

    def _names(self, folder: str) -> _Names:
        if folder not in self._listed:
            found = _Names({}, {})
            try:
                with os.scandir(folder) as entries:
                    listed = sorted((one.name, one.is_dir()) for one in entries)
            except OSError:
                listed = []
            for name, is_dir in listed:
                if not is_dir and re.search(PICTURE, name):
                    found.files.setdefault(_bare(re.sub(PICTURE, '', name)), name)
            for name, is_dir in listed:
                (found.folders if is_dir else found.files)[_key(name)] = name
            for name, is_dir in listed:
                (found.folders if is_dir else found.files)[name] = name
            self._listed[folder] = found
        return self._listed[folder]

    @cached_property
    def _below(self) -> dict[str, set[str]]:
        """Paths of the files in all folders below the root, by the keys of their names."""
        found: dict[str, set[str]] = {}
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
                    found.setdefault(key, set()).add(os.path.join(folder, name))
        return found


def _keys(name: str) -> tuple[str, str, str]:
    """What a file may be known by, the surest first."""
    return name, _key(name), _bare(name)


def _key(name: str) -> str:
    return f'/{name.strip().casefold()}'  # no file is called so


def _bare(name: str) -> str:
    """Of a picture without its suffix."""
    return f'//{name.strip().casefold()}'


def below(root: str, name: str, where: str) -> str:
    """Path of a picture below ``root``; the disk is not asked.

    Args:
        root: the folder.
        name: path in the annotations.
        where: file and row, for the message.

    Raises:
        ValueError: a path that leaves it.
    """
    path = os.path.normpath(os.path.join(root, name))
    if not path.startswith(os.path.join(root, '')):
        raise ValueError(
            f"{where}: image '{name}' lies outside {root}; paths must stay below data_root"
        )
    return path


def check_is_there(path: str, name: str, root: str, where: str) -> None:
    """Refuse a picture that is missing.

    Raises:
        FileNotFoundError: no such file.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{where}: no image '{name}' below {root}; put it there or mend the row"
        )
