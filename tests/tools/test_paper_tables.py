"""Contract: results get their cells, only comparable results are pooled, the sums are right."""

import json

import pytest

from mvlt.tools.analysis_tools.paper_results import column_of, read_results
from mvlt.tools.analysis_tools.paper_tables import FORMATS, PAPER, tables

LIST = dict(name='101', num_queries=1000, num_candidates=101, seeds=[0])
FULL = dict(name='full', num_queries=dict(tir=7519, itr=32528))
BOTH = {f'retrieval/{way}/R@{k}': float(k) for way in ('tir', 'itr') for k in (1, 5, 10)}


def _write(folder, experiment, metrics, config='retrieval.py', data='x', protocol=LIST, **run):
    folder.mkdir(parents=True)
    content = dict(metrics=metrics, config=config, data=dict(data_root=data), protocol=protocol)
    content['run'] = dict(run, experiment_name=experiment) if experiment else run
    content['checkpoint_sha256'] = str(folder)
    (folder / 'results.json').write_text(json.dumps(content))
    return folder


def _table(folder, title, data='data_root x'):
    results, _ = read_results([folder])
    (table,) = [t for t in tables([r for r in results if r.data == data]) if title in t.title]
    return {row[0]: dict(zip(table.head[1:], row[1:])) for row in table.rows}, table


def test_the_papers_figures_add_up():
    """SumR = R@1 + R@5 + R@10; Table 3 prints all."""
    printed = dict(
        tir=dict(A1=195.4, A4=193.1, B3=192.1, C1=196.0, D1=188.0, D3=197.7, E1=187.8, Final=202.1),
        itr=dict(A1=194.5, A4=191.7, B3=191.2, C1=198.4, D1=186.9, D3=193.5, E1=183.0, Final=201.4),
    )
    for way, sums in printed.items():
        for column, total in sums.items():
            parts = [PAPER[f'retrieval/{way}/R@{k}'][column] for k in (1, 5, 10)]
            assert sum(parts) == pytest.approx(total, abs=0.05), column


def test_seeds_sums_and_differences(tmp_path):
    for seed, value in ((0, 20.0), (1, 24.0)):
        metrics = dict(BOTH, **{'retrieval/tir/R@1': value})
        _write(tmp_path / f'd1/{seed}', f'd1_itm_2026_{seed}', metrics, seed=seed)
    _write(tmp_path / 'final', 'pretrain_fashiongen_20261125_000000', BOTH, seed=0)
    rows, table = _table(tmp_path, '(d)')
    # sample standard deviation of 20 and 24 is 2.83; SumR 35 and 39, Final's 1 + 5 + 10
    assert rows['TIR R@1']['D1'] == '30.40 / 22.00 +- 2.83 (n=2)'
    assert rows['TIR SumR']['D1'] == '188.00 / 37.00 +- 2.83 (n=2)'
    assert rows['TIR SumR Diff']['D1'] == '-14.10 / +21.00'  # Table 3 prints -14.10
    assert rows['TIR SumR Diff']['Final'] == ''
    assert rows['ITR R@1']['D2'] == '30.40 / -'
    assert table.note == 'without a result: D2, D3'


def test_recognition_and_table_2(tmp_path):
    start = dict(experiment_name='pretrain_fashiongen_2026', seed=0)
    metrics = {'main_category/accuracy': 97.5, 'main_category/macro_f': 0.875}
    protocol = dict(rows=9)
    _write(tmp_path / 'a', 'recognition_fashiongen_2026', metrics, 'r.py', 'x', protocol,
           started_from=start)  # fmt: skip
    rows, _ = _table(tmp_path, 'Table 2')
    assert rows['M-CR A']['Final'] == '98.26 / 97.50 (n=1)'
    assert rows['M-CR macro-F']['Final'] == '0.896 / 0.875 (n=1)'
    assert rows['M-CR SumC']['Final'] == '187.86 / 185.00 (n=1)'
    # Table 2's column Diff: MVLT less Kaleido-BERT
    assert rows['M-CR A Diff']['Final'] == '+3.19 / -'  # ours is of other data
    assert rows['M-CR macro-F Diff']['Final'] == '+0.169 / -'  # the second is OSCAR
    assert rows['M-CR SumC Diff']['Final'] == '+21.39 / -'
    assert not any(name.startswith('S-CR') for name in rows)  # nothing measured


def test_protocols_are_never_pooled(tmp_path):
    """One checkpoint under four protocols: four groups of rows, one with the paper's results."""
    for name, value in (('101', 34.6), ('101 x 5', 33.0), ('full', 2.0), ('full, 50 best', 1.0)):
        _write(tmp_path / name, 'pretrain_fashiongen_2026', {'retrieval/tir/R@1': value},
               protocol=dict(LIST, name=name))  # fmt: skip
    _write(tmp_path / 'tuned', 'finetune_fashiongen_2026', {'retrieval/tir/R@1': 50.0},
           started_from=dict(experiment_name='pretrain_fashiongen_2026', seed=0))  # fmt: skip
    rows, _ = _table(tmp_path, 'Table 2')
    assert rows['TIR R@1']['Final'] == '34.60 / 34.60 (n=1)'
    assert rows['TIR R@1 (full)']['Final'] == '- / 2.00 (n=1)'
    assert rows['TIR R@1 (101 x 5)']['Final'] == '- / 33.00 (n=1)'
    assert rows['TIR R@1 (full, 50 best)']['Final'] == '- / 1.00 (n=1)'
    assert rows['TIR R@1 (101, fine-tuned)']['Final'] == '- / 50.00 (n=1)'


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(protocol=dict(LIST, num_queries=500)), 'differ in their protocol'),
        (dict(protocol=dict(LIST, seeds=[7])), 'differ in their protocol'),
        (dict(iter=6000), 'differ in their length'),
        (dict(seed=0), 'two results of seed 0'),
    ],
)
def test_results_that_differ_are_refused(tmp_path, change, message):
    first = dict(seed=0, iter=2400)
    _write(tmp_path / 'a', 'd1_itm_2026', BOTH, **first)
    _write(tmp_path / 'b', 'd1_itm_2027', BOTH, **{**first, 'seed': 1, **change})
    with pytest.raises(ValueError, match=message):
        read_results([tmp_path])


def test_two_starts_are_not_two_seeds(tmp_path):
    for seed, start in enumerate(('pretrain_coco', 'pretrain_coco_from_fashiongen')):
        _write(tmp_path / start, 'finetune_coco_vilt_2026', BOTH, seed=seed,
               started_from=dict(experiment_name=f'{start}_2026', seed=seed))  # fmt: skip
    with pytest.raises(ValueError, match='differ in their trainings'):
        read_results([tmp_path])


def test_e1_of_a_catalogue_alone_is_compared_with_nothing(tmp_path):
    for name in ('e1_without_pvt', 'pretrain_catalogue'):
        _write(tmp_path / name, f'{name}_2026', BOTH, seed=0)
    rows, _ = _table(tmp_path, '(e)')
    assert not any('Diff' in name for name in rows)


def test_the_same_result_twice_counts_once(tmp_path):
    _write(tmp_path / 'a', 'd1_itm_2026', BOTH, seed=0)
    (tmp_path / 'copy').mkdir()
    text = (tmp_path / 'a/results.json').read_text()
    (tmp_path / 'copy/results.json').write_text(text)
    assert len(read_results([tmp_path])[0]) == 1


def test_released_weights_have_a_column(tmp_path):
    """A converted checkpoint names its source; our published ones differ."""
    assert column_of({}) is None
    data = 'data/fashiongen'
    _write(tmp_path / 'a', None, {'retrieval/tir/R@1': 34.6}, data=data, source='released')
    rows, table = _table(tmp_path, 'Table 2', f'data_root {data}')
    assert rows['TIR R@1']['released weights'] == '- / 34.60 (n=1)'
    assert rows['TIR R@1 Diff']['released weights'] == '- / +0.72'
    assert table.head[-1] == 'released weights'


def test_formats(tmp_path):
    for seed in (0, 1):
        _write(tmp_path / f'{seed}', 'c1_grid_2026', dict(BOTH), data='a_b', seed=seed)
    _, table = _table(tmp_path, '(c)', 'data_root a_b')
    markdown = FORMATS['markdown'](table).splitlines()
    assert markdown[2].startswith('| paper / ours | C1 |') and markdown[3].startswith('| --- |')
    assert '32.20 / 1.00 ± 0.00 (n=2)' in markdown[4]
    latex = FORMATS['latex'](table)
    assert r'32.20 / 1.00 $\pm$ 0.00 (n=2) &' in latex and latex.count(r'\hline') == 3
    assert latex.splitlines()[1] == r'\begin{tabular}{lrrrr}'
    text = FORMATS['text'](table).splitlines()
    assert text[0] == table.title and text[1].split()[:4] == ['paper', '/', 'ours', 'C1']
    assert text[1].index('C1') == text[2].index('32.20')  # columns stand below each other


def test_marks_of_significance(tmp_path):
    """Two models that differ on a third of 90 queries, and two that differ on one."""
    for name, right in (('d1_itm', 30), ('d2_itm_mir', 59), ('pretrain_catalogue', 60)):
        folder = _write(tmp_path / name, f'{name}_2026', {'retrieval/tir/R@1': right / 0.9}, seed=0)
        ranks = [
            dict(direction='tir', draw=0, query=i, candidates=[i], rank=1 if i < right else 9)
            for i in range(90)
        ]
        (folder / 'rankings.json').write_text(json.dumps(ranks))
    results, _ = read_results([tmp_path])
    (table,) = [t for t in tables(results, significance=True) if '(d)' in t.title]
    cells = dict(zip(table.head, table.rows[0]))
    assert cells['D1'].endswith(' *') and not cells['D2'].endswith(' *')


def test_column_of():
    assert column_of(dict(experiment_name='b4_alpha_16_2026')) == 'B4'
    assert column_of(dict(experiment_name='pretrain_catalogue_20261125_101010')) == 'Final'
    assert column_of(dict(experiment_name='c2_stroke_released_2026')) == 'C2 released'
    recipe = dict(experiment_name='pretrain_fashiongen_released_2026')
    assert column_of(recipe) == 'Released recipe'
    for other in ('mine', 'pretrain_demo_2026'):
        assert column_of(dict(experiment_name=other)) is None
    assert column_of(dict(experiment_name='pretrain_coco_2026')) == 'COCO'
    tuned = dict(experiment_name='finetune_coco_vilt_2026', started_from=dict(
        experiment_name='pretrain_coco_2026'))  # fmt: skip
    assert column_of(tuned) == 'COCO, ViLT loss'
    variant = dict(experiment_name='pretrain_coco_from_fashiongen_2026', started_from=dict(
        experiment_name='pretrain_fashiongen_2026'))  # fmt: skip
    assert column_of(variant) == 'COCO, from Fashion-Gen'
    assert column_of(dict(experiment_name='features_clusters_2026')) == 'Classes'


def test_e1_is_compared_with_its_own_size(tmp_path):
    for name in ('e1_without_pvt', 'e1_with_pvt', 'pretrain_catalogue'):
        _write(tmp_path / name, f'{name}_2026', BOTH, seed=0)
    rows, table = _table(tmp_path, '(e)')
    assert table.head[1:] == ['E1', 'E1 with PVT']
    assert rows['TIR R@5 Diff'] == {'E1': '- / +0.00', 'E1 with PVT': ''}


def test_foreign_files_and_missing_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match='no such folder'):
        read_results([tmp_path / 'none'])
    (tmp_path / 'results.json').write_text('{}')
    with pytest.raises(ValueError, match='not a result of tools/test.py'):
        read_results([tmp_path])
