"""Contract: two results are compared query by query, or refused."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from mvlt.tools.analysis_tools.compare import compare, macro_f, matched, read_answers, same_data


def _rankings(folder, ranks, **more):
    folder.mkdir()
    content = [
        dict(direction='tir', query=query, rank=rank, candidates=[query, 1], draw=0) | more
        for query, rank in enumerate(ranks)
    ]
    (folder / 'rankings.json').write_text(json.dumps(content))
    (folder / 'results.json').write_text('{}')
    return folder


def test_the_same_queries_in_any_order(tmp_path):
    first = _rankings(tmp_path / 'a', [1, 2, 9, 1])
    second = _rankings(tmp_path / 'b', [3, 1, 20, 1])
    content = json.loads((second / 'rankings.json').read_text())
    (second / 'rankings.json').write_text(json.dumps(content[::-1]))
    answers = read_answers(first / 'results.json')['tir']
    others = read_answers(second / 'rankings.json')['tir']
    ours, theirs = matched(answers, others, 'tir')
    assert ours.tolist() == [1, 2, 9, 1] and theirs.tolist() == [3, 1, 20, 1]
    lines = compare('tir', ours, theirs, answers.groups, [1, 10])
    assert lines[0].split()[8] == '1.0000'  # one of two queries each
    assert lines[0].split()[:5] == ['tir', 'R@1', '50.00', '50.00', '+0.00']
    assert lines[1].split()[:5] == ['tir', 'R@10', '100.00', '75.00', '+25.00']


def test_other_candidates_are_refused(tmp_path):
    first = read_answers(_rankings(tmp_path / 'a', [1, 2]))['tir']
    second = read_answers(_rankings(tmp_path / 'b', [1, 2], candidates=[5, 6]))['tir']
    with pytest.raises(ValueError, match='4 queries or candidates are in one result only'):
        matched(first, second, 'tir')


def test_queries_of_a_product_are_resampled_together(tmp_path):
    """A product's draws, views and captions correlate: no p; two products give wide intervals."""
    for name, rank in dict(a=1, b=9).items():
        (tmp_path / name).mkdir()
        content = [
            dict(direction='tir', query=row, rank=rank if row < 3 else 1, product_id=product)
            | dict(candidates=[row], draw=row)
            for row, product in enumerate('xxxyy')  # ragged: three of x, two of y
        ]
        (tmp_path / name / 'rankings.json').write_text(json.dumps(content))
    first, second = (read_answers(tmp_path / name)['tir'] for name in 'ab')
    assert first.groups == list('xxxyy')
    (line,) = compare('tir', *matched(first, second, 'tir'), first.groups, [1])
    # a resample has x only, y only, or both
    assert line.split() == ['tir', 'R@1', '100.00', '40.00', '+60.00', '+0.00', 'to', '+100.00']


def test_other_data_are_refused(tmp_path):
    for name, root in dict(a='x', b='y').items():
        folder = _rankings(tmp_path / name, [1, 2])
        content = dict(data=dict(data_root=root), protocol=dict(name='full', candidates=name))
        (folder / 'results.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match='differ in their data: data_root x, y'):
        same_data(tmp_path / 'a', tmp_path / 'b/rankings.json')
    same_data(tmp_path / 'a', tmp_path / 'a')


def test_categories(tmp_path):
    for name, predicted in dict(a=[0, 1, 2, 1], b=[0, 1, 1, 1]).items():
        (tmp_path / name).mkdir()
        answers = dict(main_category=dict(truth=[0, 1, 2, 2], predicted=predicted))
        (tmp_path / name / 'predictions.json').write_text(json.dumps(answers))
    first, second = (read_answers(tmp_path / name)['main_category'] for name in 'ab')
    lines = compare('main_category', *matched(first, second, 'main_category'), first.groups, [])
    assert lines[0].split()[1:5] == ['accuracy', '75.00', '50.00', '+25.00']
    assert lines[1].split()[1] == 'macro-F'
    other = second._replace(keys=[(row, 9) for row, _ in second.keys])
    with pytest.raises(ValueError, match='8 queries'):
        matched(first, other, 'main_category')


def test_macro_f_equals_scikit_learn():
    pairs = np.random.default_rng(0).integers(0, 9, (50, 2))
    pairs[:10, 1] = 11  # predicted only
    assert macro_f(pairs) == pytest.approx(f1_score(*pairs.T, average='macro', zero_division=0))


def test_nothing_to_compare(tmp_path):
    with pytest.raises(FileNotFoundError, match='no rankings.json or predictions.json'):
        read_answers(tmp_path)
    (tmp_path / 'rankings.json').write_text('[{"a": 1}]')
    with pytest.raises(ValueError, match='not a file of tools/test.py'):
        read_answers(tmp_path)
