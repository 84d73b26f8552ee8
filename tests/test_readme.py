"""Contract: configs, paths, commands, figures and the tree of README and site are right."""

import json
import re
from pathlib import Path
from statistics import mean

import pandas as pd
import pytest
import torch
from PIL import Image

from mvlt.config import load_config
from mvlt.engine import resolve
from mvlt.registry import DATASETS, MODELS

ROOT = Path(__file__).parent.parent
README = (ROOT / 'README.md').read_text(encoding='utf-8')
PAGES = {path.name: path.read_text(encoding='utf-8') for path in (ROOT / 'docs').glob('*.md')}
ALL = '\n'.join([README, *PAGES.values()])
PYTHON = re.findall(r'```python\n(.*?)```', ALL, re.DOTALL)
CONFIGS = [text for text in PYTHON if 'read_base' in text]


def _tree() -> list[str]:
    """Paths of the annotated tree."""
    block = re.search(r'```\n(.*?)```', PAGES['tree.md'], re.DOTALL).group(1)
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
    for target in re.findall(r'(?:^    |`|; )make (\w+)', ALL, re.MULTILINE):
        assert re.search(rf'^{target}:', makefile, re.MULTILINE), target
    for path in re.findall(r'(?<![\w/])(?:tools|configs|docs|projects|tests)/[\w./-]+[^\W_]', ALL):
        if not path.endswith('example'):  # projects/example_*
            assert (ROOT / path).exists(), path


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 120


def test_figures_of_the_readme_are_those_of_the_dated_files():
    row = re.search(r'three seeds, whole pictures.*', _dated('2026-11-28-towers.md')).group()
    assert re.findall(r'(\d+\.\d) / \d+\.\d / \d+\.\d', row)[:2] == ['40.0', '40.9']
    scratch = 'quick start; dual encoder, an hour; with two warm restarts | 24.1; 40.0; 45.1'
    assert f'{scratch} | 23.2; 40.9; 47.3 |' in README
    start = _dated('2026-11-30-a-start-that-has-seen-images.md')
    for words, row in (('quick start, ', 'quick start'), ('dual encoder, half', 'dual encoder')):
        (line,) = re.findall(rf'^\| \*\*{words}.*', README, re.MULTILINE)
        (dated,) = re.findall(rf'^\| \*\*{row}\*\*.*', start, re.MULTILINE)
        assert re.findall(r'\d+\.\d', line)[:2] == re.findall(r'\*\*(\d+\.\d)', dated)[:2]
    assert 'about 23 min of two cores, one seed' in _dated('2026-11-25-towers.md')
    assert '| 4.2 / 20.5 / 36.5 | 4.4 / 20.9 / 35.7 |' in _dated('2026-11-25-towers.md')
    assert 'mean R@1, TIR; ITR | **24.1; 23.2**' in _dated('2026-11-28-first-look.md')
    measured = json.loads((ROOT / 'projects/baselines/results.json').read_text())
    rows = [
        measured['rows'][name]['runs'].values() for name in ('clip', 'vse', 'mvlt_dual_encoder')
    ]
    cells = [
        '; '.join(f'{mean(run["metrics"][f"{way} R@1"] for run in runs):.1f}' for runs in rows)
        for way in ('TIR', 'ITR')
    ]
    assert measured['minutes'] == 4 and f'our dual encoder | {cells[0]} | {cells[1]} |' in README
    searched = (ROOT / 'docs/benchmarks/2026-11-28-search.md').read_text(encoding='utf-8')
    assert 'p50 / p95 of a query, ms | 9.5 / 12.7 |' in searched and '13 ms (p95' in README


def test_every_dated_file_is_in_the_index():
    index = (ROOT / 'docs/results/index.md').read_text(encoding='utf-8')
    for folder in ('results', 'benchmarks'):
        for path in (ROOT / 'docs' / folder).glob('20*.md'):
            assert path.name in index, path


def _dated(name):
    return (ROOT / 'docs/results' / name).read_text(encoding='utf-8')


@pytest.mark.parametrize('text', CONFIGS)
def test_configs_of_the_readme_load_and_build(text, tmp_path):
    (tmp_path / 'mine.py').write_text(text)
    config = load_config(tmp_path / 'mine.py')
    assert config.train_dataloader.dataset.dataset.pipeline.mask.type.endswith('StrokeMask')
    with torch.device('meta'):
        model = MODELS.build(config.model)
    assert sum(len(stage.layers) for stage in model.backbone.stages) == 16  # PVT Small: 3 4 6 3


def test_the_catalogue_of_the_readme_fits_every_config(tmp_path):
    """Its products.json, a table with those columns, and the commands' configs."""
    description = json.loads(re.search(r'```json\n(.*?)```', PAGES['shops.md'], re.DOTALL).group(1))
    (tmp_path / 'images').mkdir()
    rows = [
        {
            **dict(photo=f'images/{i}.png', sku=i, group='BAGS', kind='TOTES', title=f'No{i} Bag'),
            **{'colour': i, 'for': 'Women'},
        }
        for i in range(40)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / 'products.csv', index=False)
    (tmp_path / 'products.json').write_text(json.dumps(description))
    for i in range(40):
        Image.new('RGB', (64, 64)).save(tmp_path / f'images/{i}.png')
    names = set(re.findall(r'(configs/mvlt/\w+_catalogue\.py)', ALL))
    assert len(names) == 11
    for name in names - {'configs/mvlt/quick_start_by_brand_catalogue.py'}:
        config = resolve(load_config(ROOT / name, data_root=str(tmp_path)), 'data')
        dataset = DATASETS.build(config.test_dataloader.dataset)
        record = dataset.get_data_info(0)
        assert record['caption'] == f'No{record["product_id"]} Bag'
        assert record['attributes'] == ('colour', 'gender')
        assert record['other_captions'][1:] == (f'{record["product_id"]} TOTES', 'TOTES')
