"""Contract: the notebooks run, and their stored outputs are of the same kinds.

OMP_NUM_THREADS=1 python -m tests.test_notebooks          # store the outputs of now
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / 'docs/notebooks'
NOTEBOOKS = sorted(FOLDER.glob('*.ipynb'))


def _run(path, folder):
    """The notebook after running in a folder, without times and versions."""
    notebook = nbformat.read(path, 4)
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name='python3',
        record_timing=False,
        coalesce_streams=True,
        resources=dict(metadata=dict(path=str(folder))),
    )
    client.execute()
    notebook.metadata.language_info = dict(name='python')
    return notebook


def _kinds(cell):
    """The names of streams and the formats of values."""
    return [
        (output.output_type, output.get('name'), sorted(output.get('data', ())))
        for output in cell.outputs
    ]


def _text(cell):
    return ''.join(
        output.get('text') or output.data.get('text/plain', '') for output in cell.outputs
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_keeps_its_outputs(path, tmp_path, monkeypatch):
    for name in ('IPYTHONDIR', 'JUPYTER_RUNTIME_DIR'):
        monkeypatch.setenv(name, str(tmp_path / 'jupyter'))
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    (tmp_path / 'here').mkdir()
    kept, run = nbformat.read(path, 4), _run(path, tmp_path / 'here')
    for before, after in zip(kept.cells, run.cells):
        if after.cell_type == 'code':
            assert _kinds(before) == _kinds(after), after.source
            assert 'stderr' not in str(_kinds(after)), _text(after)
            assert not any(folder in _text(before) for folder in (str(ROOT), gettempdir()))
    assert not list((tmp_path / 'here').iterdir())  # what it writes lies in a temporary folder


@pytest.mark.parametrize('how', [['check'], ['format', '--check']], ids=' '.join)
def test_style(how):
    command = [sys.executable, '-m', 'ruff', *how, '--no-cache', FOLDER]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


if __name__ == '__main__':
    for path in NOTEBOOKS:
        with TemporaryDirectory() as folder:
            nbformat.write(_run(path, folder), path)
