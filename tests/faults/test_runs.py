"""Contract: the first difference of nested structures is located."""

import pytest
import torch

from tests.faults.runs import difference, kill_rank


def test_equal():
    nest = dict(a=[1, (torch.ones(2), None)], b='x')
    assert difference(nest, dict(a=[1, (torch.ones(2), None)], b='x')) is None


@pytest.mark.parametrize(
    ('other', 'where'),
    [
        (dict(a=[1, (torch.zeros(2), None)], b='x'), '.a.1.0'),
        (dict(a=[1, (torch.ones(2), 0)], b='x'), '.a.1.1'),
        (dict(a=[1], b='x'), '.a'),
        (dict(a=[1, (torch.ones(2), None)]), '.'),
        ([], '.'),
    ],
)
def test_different(other, where):
    assert difference(dict(a=[1, (torch.ones(2), None)], b='x'), other) == where


def test_no_such_rank(tmp_path):
    with pytest.raises(ValueError, match='no process of rank 7'):
        kill_rank(7, tmp_path)
