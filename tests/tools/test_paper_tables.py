"""Contract: results find their row by their pre-training; the paper's own sums hold."""

import json

import pytest

from tools.analysis_tools.paper_tables import METRICS, column_of, read_results, tables


def _write(folder, experiment, metrics, config='retrieval.py', data='x', **run):
    folder.mkdir(parents=True)
    content = dict(metrics=metrics, config=config, data=dict(data_root=data))
    content['run'] = dict(run, experiment_name=experiment)
    (folder / 'results.json').write_text(json.dumps(content))


def test_the_papers_figures_add_up():
    """SumR = R@1 + R@5 + R@10, as Table 3 prints both."""
    printed = dict(
        tir=dict(A1=195.4, A4=193.1, B3=192.1, C1=196.0, D1=188.0, D3=197.7, E1=187.8, Final=202.1),
        itr=dict(A1=194.5, A4=191.7, B3=191.2, C1=198.4, D1=186.9, D3=193.5, E1=183.0, Final=201.4),
    )
    for way, sums in printed.items():
        for column, total in sums.items():
            parts = [float(METRICS[f'retrieval/{way}/R@{k}'][column]) for k in (1, 5, 10)]
            assert sum(parts) == pytest.approx(total, abs=0.05), column


def test_rows_seeds_and_empty_columns(tmp_path):
    for seed, value in ((0, 20.0), (1, 24.0)):
        _write(tmp_path / f'd1/{seed}', f'd1_itm_2026{seed}', {'retrieval/tir/R@1': value})
    start = dict(experiment_name='pretrain_fashiongen_2026', seed=0)
    _write(
        tmp_path / 'final',
        'recognition_fashiongen_2026',
        {'main_category/accuracy': 97.5, 'main_category/macro_f': 0.875},
        started_from=start,
    )
    _write(tmp_path / 'other', 'd1_itm_2026', {'retrieval/tir/R@1': 90.0}, data='y')
    found, sources = read_results([tmp_path])
    assert len(sources) == 4 and set(found) == {'data_root x', 'data_root y'}
    lines = tables(found['data_root x'])
    # sample standard deviation of 20 and 24 is 2.83
    assert any('30.4 | 22.00 +- 2.83 (n=2)' in line for line in lines)
    assert any('98.26 | 97.50 (n=1)' in line for line in lines)
    assert any('.896 | 0.875 (n=1)' in line for line in lines)
    assert 'empty: D2, D3' in lines and lines[-1] == 'empty: all'


def test_column_of():
    assert column_of(dict(experiment_name='b4_alpha_16_2026'), 'x.py') == 'B4'
    assert column_of(dict(experiment_name='pretrain_catalogue_2026'), 'x.py') == 'Final'
    for other in ('mine', 'pretrain_demo_2026', 'pretrain_fashiongen_released_2026'):
        assert column_of(dict(experiment_name=other), 'x.py') is None
    assert column_of({}, 'x.py') is None
    assert column_of(dict(experiment_name='mine'), 'configs/mvlt/retrieval_coco.py') == 'COCO'


def test_foreign_files_and_missing_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match='no such folder'):
        read_results([tmp_path / 'none'])
    (tmp_path / 'results.json').write_text('{}')
    with pytest.raises(ValueError, match='not a result of tools/test.py'):
        read_results([tmp_path])
