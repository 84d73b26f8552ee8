"""Contract: every row has a config; the table in the README is what was measured."""

import json

import pytest

from mvlt.config import load_config
from projects.baselines import run_all


@pytest.mark.parametrize('row', run_all.ROWS, ids=lambda row: row.name)
def test_every_row_has_a_config(row):
    config = load_config(run_all.ROOT / row.config)
    assert config.test_cfg.num_candidates == 101 and config.image_size == 64
    assert any('categories' in name or 'labels' in name for name in config.model.heads)


def test_the_papers_systems_are_all_there():
    published = {row.title: row.published for row in run_all.ROWS}
    assert published['VSE++'] == '4.60, 4.59 (Fashion-Gen, Table 2)'
    assert published['UNITER'] == '50.30, 64.40 (COCO 5k, Table 6)'
    assert published['CLIP'] == '16.30, 13.60 (Fashion-Gen, Table 5, zero-shot)'
    assert published['MVLT, the paper'] == '34.60, 33.10 (Fashion-Gen, Table 2)'
    assert [title for title, told in published.items() if told == '-'] == [
        *('SCAN, image to text', 'SigLIP', 'BLIP', 'MVLT, towers')
    ]


def test_table_by_hand():
    runs = {
        str(seed): dict(
            steps=50, minutes=2.5 - value / 2, metrics=dict.fromkeys(run_all.METRICS, value)
        )
        for seed, value in enumerate((1.0, 3.0))
    }
    rows = dict(vse=dict(parameters=3.66, gflop=0.1367, runs=runs))
    text = run_all.table(dict(date='2026-01-01', minutes=2, queries=9, rows=rows))
    assert 'finds in 2 minutes of one thread' in text and '2 seed(s)' in text
    assert '| 3.7 | 0.137 | 50 | 1.5 ± 0.7 | 2.0 ± 1.4 / 2.0 ± 1.4 / 2.0 ± 1.4 |' in text


@pytest.mark.skipif(not run_all.RESULTS.is_file(), reason='nothing was measured')
def test_the_readme_has_what_was_measured():
    text = (run_all.HERE / 'README.md').read_text()
    measured = json.loads(run_all.RESULTS.read_text())
    begin, end = run_all.MARKS
    assert text.split(begin)[1].split(end)[0].strip() == run_all.table(measured).strip()
