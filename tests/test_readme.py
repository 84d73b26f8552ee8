"""Contract: the README's configs run and its tree is the real one."""

import re
from pathlib import Path

import pytest

from mvlt.engine.config import load_config

ROOT = Path(__file__).parent.parent
README = (ROOT / 'README.md').read_text(encoding='utf-8')
CONFIGS = re.findall(r'```python\n(.*?)```', README, re.DOTALL)


def _tree() -> list[str]:
    """Paths of the annotated tree."""
    block = re.search(r'## The tree\n\n```\n(.*?)```', README, re.DOTALL).group(1)
    paths, folders = [], {}
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.split(r'\s{2,}', line.strip())[0].split()
        for name in names:
            parent = folders.get(depth - 1, '') if depth else ''
            paths.append(parent + name)
            if name.endswith('/'):
                folders[depth] = parent + name
    return paths


@pytest.mark.parametrize('path', _tree())
def test_what_the_tree_names_is_there(path):
    assert (ROOT / path).exists()


def test_every_folder_of_the_package_is_in_the_tree():
    named = set(_tree())
    for folder in (ROOT / 'mvlt').rglob('*/'):
        if folder.name != '__pycache__' and any(folder.glob('*.py')):
            assert f'{folder.relative_to(ROOT)}/' in named


def test_make_targets_and_files_that_the_commands_name_are_there():
    makefile = (ROOT / 'Makefile').read_text()
    for target in re.findall(r'`?make (\w+)', README):
        assert re.search(rf'^{target}:', makefile, re.MULTILINE) or target == 'are'
    for path in re.findall(r'(?:tools|configs|docs|projects)/[\w./]+\w', README):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize('text', CONFIGS, ids=['own catalogue', 'swap a part'])
def test_configs_of_the_readme_load(text, tmp_path):
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    (tmp_path / 'mine.py').write_text(text)
    config = load_config(tmp_path / 'mine.py', count=False)
    if 'StrokeMask' in text:
        assert config.train_dataloader.dataset.dataset.pipeline[2].type.endswith('StrokeMask')
        assert config.model.backbone.arch == 'small'
    else:
        dataset = config.train_dataloader.dataset.dataset
        assert dataset.columns.image == 'photo' and dataset.caption == '{title}. {colour}'
