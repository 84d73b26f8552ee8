"""Contract: a checkpoint is read whole or refused in one line; no code in it runs."""

import argparse
import os
import pickle
from pathlib import PurePosixPath

import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from mvlt.checkpoints.checkpoint import read_checkpoint, use_safe_files


@pytest.fixture(autouse=True)
def _as_in_a_run():
    use_safe_files()


def test_mmengines_own_contents_are_read(tmp_path):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    content = dict(state_dict={'a': torch.ones(2)}, message_hub={'loss': history})
    torch.save(content, tmp_path / 'a.pth')
    read = read_checkpoint(str(tmp_path / 'a.pth'))
    assert torch.equal(read['state_dict']['a'], torch.ones(2))
    assert read['message_hub']['loss'].data[0].tolist() == [1.0, 2.0]


class _Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize('zipped', [True, False])
def test_hostile_pickle_is_refused_and_does_not_run(tmp_path, zipped):
    torch.save(
        dict(a=_Hostile(tmp_path / 'run')),
        tmp_path / 'a.pth',
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(ValueError, match='a.pth: refused'):
        read_checkpoint(str(tmp_path / 'a.pth'))
    assert not (tmp_path / 'run').exists()


def test_cut_empty_foreign_and_missing_files(tmp_path):
    torch.save(dict(a=torch.zeros(1000)), tmp_path / 'whole.pth')
    content = (tmp_path / 'whole.pth').read_bytes()
    (tmp_path / 'cut.pth').write_bytes(content[: len(content) // 2])
    (tmp_path / 'empty.pth').write_bytes(b'')
    (tmp_path / 'text.pth').write_text('hello')
    (tmp_path / 'plain.pth').write_bytes(pickle.dumps([1]))
    for name in ('cut', 'empty', 'text', 'plain'):
        with pytest.raises(ValueError, match=f'{name}.pth'):
            read_checkpoint(str(tmp_path / f'{name}.pth'))
    with pytest.raises(FileNotFoundError, match='no such checkpoint'):
        read_checkpoint(str(tmp_path / 'none.pth'))
    torch.save([1], tmp_path / 'list.pth')
    with pytest.raises(ValueError, match='this holds list'):
        read_checkpoint(str(tmp_path / 'list.pth'))


def test_a_command_line_in_a_checkpoint_is_read_and_a_refusal_names_the_class(tmp_path):
    torch.save(dict(model={}, args=argparse.Namespace(lr=0.1)), tmp_path / 'a.pth')
    assert read_checkpoint(str(tmp_path / 'a.pth'))['args'].lr == 0.1
    torch.save(dict(model={}, args=PurePosixPath('a')), tmp_path / 'b.pth')
    with pytest.raises(ValueError, match=r'b\.pth: refused, .*: it asks for pathlib'):
        read_checkpoint(str(tmp_path / 'b.pth'))


def test_remote_files_of_mmengine_are_refused(tmp_path):
    """mmengine's readers of stores and model zoos unpickle."""
    for name in ('s3://a/b.pth', 'torchvision://resnet18', 'openmmlab://x', 'pavi://x'):
        with pytest.raises(ValueError, match='fetch it first'):
            CheckpointLoader.load_checkpoint(name)
    torch.save(dict(meta=None, state_dict={}), tmp_path / 'a.pth')
    assert CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'))['meta'] is None


def test_a_url_is_fetched_and_read_safely(tmp_path, monkeypatch):
    torch.save(dict(a=_Hostile(tmp_path / 'run')), tmp_path / 'remote.pth')
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'cache'))
    monkeypatch.setattr(
        torch.hub,
        'download_url_to_file',
        lambda url, path: os.link(tmp_path / 'remote.pth', path),
    )
    with pytest.raises(ValueError, match='refused'):
        CheckpointLoader.load_checkpoint('https://example.org/remote.pth')
    assert not (tmp_path / 'run').exists()
