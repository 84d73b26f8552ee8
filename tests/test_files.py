"""Contract: a file has its old or its new content, never a part; no partial file stays."""

import os
import subprocess
import sys
import time

import pytest
from mmengine.fileio import get_file_backend

from mvlt.checkpoints.checkpoint import use_safe_files
from mvlt.files import (
    WholeFileBackend,
    remove_partial,
    sole_process,
    write_text,
    written_whole,
)


def test_new_content_takes_the_name(tmp_path):
    write_text(tmp_path / 'new/file.txt', 'é')
    assert (tmp_path / 'new/file.txt').read_bytes() == 'é'.encode()
    assert os.listdir(tmp_path / 'new') == ['file.txt']


def test_an_error_leaves_the_old_content_and_no_rest(tmp_path):
    write_text(tmp_path / 'file', 'old')
    with pytest.raises(OSError, match='no space'):  # noqa: SIM117
        with written_whole(tmp_path / 'file') as file:
            file.write(b'half')
            raise OSError('no space')
    assert (tmp_path / 'file').read_text() == 'old' and os.listdir(tmp_path) == ['file']


def test_backend_of_mmengine(tmp_path):
    use_safe_files()  # as a run does
    backend = get_file_backend(str(tmp_path / 'a'))
    assert isinstance(backend, WholeFileBackend)
    backend.put(b'1', str(tmp_path / 'a'))
    backend.put_text('2', tmp_path / 'b')
    assert backend.get(tmp_path / 'a') == b'1' and backend.get_text(tmp_path / 'b') == '2'


def test_a_killed_writer_leaves_the_old_file_and_its_rest_can_be_cleared(tmp_path):
    write_text(tmp_path / 'file', 'old')
    code = (
        'import sys, time; from mvlt.files import written_whole\n'
        f'with written_whole({str(tmp_path / "file")!r}) as file:\n'
        '    file.write(b"half"); file.flush(); print("written", flush=True); time.sleep(60)\n'
    )
    writer = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)
    while 'written' not in writer.stdout.readline():
        time.sleep(0.01)
    writer.kill()
    writer.wait()
    assert (tmp_path / 'file').read_text() == 'old' and len(os.listdir(tmp_path)) == 2
    remove_partial(tmp_path)
    assert os.listdir(tmp_path) == ['file']


def test_one_process_holds_a_folder_until_it_has_ended(tmp_path):
    code = (
        'import time; from mvlt.files import sole_process\n'
        f'with sole_process({str(tmp_path / "work/.lock")!r}, "trains into it"):\n'
        '    print("held", flush=True); time.sleep(60)\n'
    )
    other = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)
    assert 'held' in other.stdout.readline()
    with (
        pytest.raises(ValueError, match=f'work: process {other.pid} trains into it; wait for it'),
        sole_process(tmp_path / 'work/.lock', 'trains into it'),
    ):
        raise AssertionError
    other.kill()
    other.wait()
    with sole_process(tmp_path / 'work/.lock', 'trains into it'):
        assert (tmp_path / 'work/.lock').read_text() == str(os.getpid())
