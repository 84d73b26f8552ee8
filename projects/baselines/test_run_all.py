"""Contract: every row has a config; the README's table equals the results."""

import argparse
import json

import pytest

from mvlt.config import load_config
from mvlt.files import write_json
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
    assert [title for title, recalls in published.items() if recalls == '-'] == [
        *('SCAN, image to text', 'SigLIP', 'BLIP', 'MVLT, dual encoder')
    ]


def test_the_plan_of_a_row(tmp_path):
    """Trials of 4 and 24 steps, 2 seconds a step: 60 steps in two minutes."""
    args = argparse.Namespace(work_dir=tmp_path, minutes=2, data_root=None, seeds=[5])
    row = run_all.ROWS[0]
    for step, seconds in zip(run_all._probes(row, args), (10.0, 50.0)):
        assert '--resume' not in step.command
        write_json(step.folder / 'time.json', dict(cpu_seconds=seconds))
    train, *tests = run_all.plan(row, 5, args)
    assert train.result == tmp_path / 'vse/trained_5/iter_60.pth' and '--resume' in train.command
    assert {test.needs for test in tests} == {train.result}
    rank, recognise = (load_config(test.command[1]) for test in tests)
    assert rank.test_cfg.candidates == str(tmp_path / 'candidates.json')
    assert recognise.test_cfg.type == 'TestLoop'
    args.minutes = 3
    with pytest.raises(
        ValueError, match=r'started with other settings .train_cfg.max_iters 60 then, 90 now'
    ):
        run_all.plan(row, 5, args)


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


@pytest.mark.skipif(not run_all.RESULTS.is_file(), reason='no results')
def test_the_readme_has_what_was_measured():
    text = (run_all.HERE / 'README.md').read_text()
    measured = json.loads(run_all.RESULTS.read_text())
    begin, end = run_all.MARKS
    assert text.split(begin)[1].split(end)[0].strip() == run_all.table(measured).strip()
