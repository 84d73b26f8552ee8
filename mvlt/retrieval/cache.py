"""What galleries leave on the disk so that they open at once the next time, and its bounds."""

import os
import re
import shutil
import time
from pathlib import Path

CACHE = Path(os.environ.get('XDG_CACHE_HOME', Path.home() / '.cache')) / 'mvlt' / 'galleries'
MAX_BYTES = 20_000_000_000
MAX_DAYS = 90.0
# the folder may be anybody's: only what is called as galleries call it is theirs
_OURS = r'[0-9a-f]{16,32}(-[\w-]+)?(\.vectors|\.tokens)?\.(npy|npz|json|key|index)'
_IN_USE = 3600  # seconds in which an entry may still be read by who has found it


def used(*entries: Path) -> None:
    """An entry was found and is read: it is the newest."""
    for entry in entries:
        os.utime(entry)


def trim(folder: Path = CACHE, max_bytes: float = MAX_BYTES, max_days: float = MAX_DAYS) -> int:
    """Delete entries that nobody has read for long, then the oldest until the others fit.

    One that was read within the hour stays.

    Args:
        folder: of the entries, files and folders.
        max_bytes: that may stay.
        max_days: since it was read.

    Returns:
        Bytes that were freed.
    """
    now = time.time()
    entries = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if not re.fullmatch(_OURS, path.name):
            continue
        try:
            entries.append((path.stat().st_mtime, _size(path), path))
        except FileNotFoundError:  # another process has deleted it
            continue
    total = sum(size for _, size, _ in entries)
    freed = 0
    for read, size, path in sorted(entries):
        if now - read < _IN_USE or (total <= max_bytes and now - read < 86_400 * max_days):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        total -= size
        freed += size
    return freed


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob('*') if file.is_file())
    return path.stat().st_size
