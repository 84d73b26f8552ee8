"""Contract: wheel and source package are whole, and work where no checkout is.

The dependencies are this environment's; `make package` does the same with an empty one.
"""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

import mvlt
from tests import try_package

ROOT = Path(__file__).parent.parent
pytest.importorskip('build', reason="packages are built with '.[dev]'")


@pytest.fixture(scope='module')
def packages(tmp_path_factory):
    out = tmp_path_factory.mktemp('dist')
    found = subprocess.run(
        [sys.executable, '-m', 'build', '--no-isolation', '--outdir', str(out), str(ROOT)],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return out


@pytest.fixture(scope='module')
def installed(packages, tmp_path_factory):
    """A folder with the unpacked wheel in ``site`` and the README's files beside it."""
    folder = tmp_path_factory.mktemp('empty')
    (wheel,) = packages.glob('*.whl')
    command = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--target']
    subprocess.run([*command, str(folder / 'site'), str(wheel)], check=True)
    try_package.prepare(folder)
    return folder


def _run(folder, *args):
    env = dict(os.environ, PYTHONPATH=str(folder / 'site'), OMP_NUM_THREADS='1')
    return subprocess.run(
        [sys.executable, *args], cwd=folder, env=env, capture_output=True, text=True
    )


def test_every_file_of_the_package_is_in_both(packages, installed):
    kinds = ('.py', '.html', '.sh', '.csv', '.yml', '.md')
    code, brought = (
        {
            str(path.relative_to(ROOT))
            for folder in folders
            for path in (ROOT / folder).rglob('*')
            if path.suffix in kinds
        }
        for folders in (['mvlt'], ['configs', 'tools'])
    )
    brought |= {'model-index.yml', 'projects/baselines/metafile.yml'}
    site = installed / 'site'
    inside = {str(path.relative_to(site)) for path in site.rglob('*')}
    assert code | {f'mvlt/.mim/{name}' for name in brought} <= inside
    (archive,) = packages.glob('*.tar.gz')
    with tarfile.open(archive) as file:
        names = {'/'.join(name.split('/')[1:]) for name in file.getnames()}
        assert not any(member.islnk() or member.issym() for member in file.getmembers())
    assert code | brought <= names


def test_building_leaves_nothing_in_the_checkout(packages):
    """A copy there would be read in the place of the repository's own folders."""
    assert not (ROOT / 'mvlt/.mim').exists()


@pytest.mark.parametrize('code', [*try_package.examples(), try_package.INHERITED])
def test_code_without_a_checkout(installed, code):
    found = _run(installed, '-c', code)
    assert found.returncode == 0, found.stderr[-2000:]


def test_a_packaged_tool(installed):
    command = ('-m', 'mvlt.tools.check_dataset', 'mvlt/pretrain_catalogue')
    found = _run(installed, *command, '--data-root', 'MY_CATALOGUE')
    assert found.returncode == 0, found.stderr[-2000:]
    assert 'training can start' in found.stdout


def test_there_are_examples():
    assert try_package.examples()


def test_the_index_names_configs_that_are_there():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    for path in index['Import']:
        metafile = yaml.safe_load((ROOT / path).read_text())
        collections = {one['Name'] for one in metafile['Collections']}
        for model in metafile['Models']:
            assert model['In Collection'] in collections and (ROOT / model['Config']).is_file()
            assert (ROOT / model['Metadata']['Training Log']).is_file() and model['Results']


def test_versions_agree():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == mvlt.__version__
    changelog = (ROOT / 'CHANGELOG.md').read_text()
    assert '\n## [Unreleased]\n' in changelog or f'\n## [{mvlt.__version__}]' in changelog
