"""Contract: what nobody reads goes, the oldest first; what was read within the hour stays."""

import os
import time

from mvlt.apis import TextToImageRetrievalInferencer
from mvlt.retrieval.cache import trim, used


def _entry(folder, name, hours, size=1000):
    path = folder / f'{16 * name[0]}{name[1:]}'
    if name.endswith('.index'):
        path.mkdir()
        (path / 'data').write_bytes(bytes(size))
    else:
        path.write_bytes(bytes(size))
    os.utime(path, (time.time() - 3600 * hours,) * 2)
    return path


def test_by_age_and_size(tmp_path):
    names = [('a.npy', 2400), ('b.index', 50), ('c.npy', 40), ('d.npy', 30), ('e.npy', 0.5)]
    for name, hours in names:
        _entry(tmp_path, name, hours)
    assert trim(tmp_path, max_bytes=10_000, max_days=90) == 1000  # 100 days
    assert trim(tmp_path, max_bytes=2000, max_days=90) == 2000  # the oldest two, one a folder
    assert sorted(path.name[15:] for path in tmp_path.iterdir()) == ['d.npy', 'e.npy']
    assert trim(tmp_path, max_bytes=0) == 1000  # one was read half an hour ago
    assert [path.name[15:] for path in tmp_path.iterdir()] == ['e.npy']


def test_what_is_read_is_the_newest(tmp_path):
    old, other = _entry(tmp_path, 'a.npy', 20), _entry(tmp_path, 'b.npy', 10)
    used(old)
    trim(tmp_path, max_bytes=1000)
    assert old.exists() and not other.exists()
    assert trim(tmp_path / 'none') == 0


def test_files_of_others_stay(tmp_path):
    for name in ('letter.json', 'photos.npy', 'deadbeef.key', f'{16 * "a"}.txt'):
        (tmp_path / name).write_bytes(b'1')
        os.utime(tmp_path / name, (0, 0))
    assert trim(tmp_path, max_bytes=0, max_days=0) == 0 and len(list(tmp_path.iterdir())) == 4


def test_a_gallery_leaves_what_is_cleaned(tower_folder, catalogue, tmp_path):
    cache = tmp_path / 'cache'
    search = TextToImageRetrievalInferencer(
        tower_folder, device='cpu', show_progress=False, cache_dir=cache
    )
    search.read(catalogue)
    assert len(list(cache.iterdir())) == 4
    for path in cache.iterdir():
        os.utime(path, (0, 0))
    assert trim(cache) > 0 and not list(cache.iterdir())
