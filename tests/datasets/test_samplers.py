"""Contract: orders as mmengine's, taken up at any place; each draw knows its place."""

import pickle

import pytest
from mmengine.dataset import (
    BaseDataset,
    ConcatDataset,
    DefaultSampler,
    InfiniteSampler,
    RepeatDataset,
)
from mmpretrain.datasets import RepeatAugSampler

from mvlt.datasets import EndlessSampler, EpochSampler, RepeatedSampler
from mvlt.datasets.drawing import Draw

ROWS = range(10)


def _take(sampler, count):
    return [draw for draw, _ in zip(sampler, range(count))]


def test_a_draw_is_its_row_and_travels_to_workers():
    draw = pickle.loads(pickle.dumps(Draw(3, (0, 1, 2))))
    assert draw == 3 and draw.key == (0, 1, 2) and [10, 11, 12, 13][draw] == 13


def test_a_draw_survives_mmengines_wrappers():
    parts = ConcatDataset([_Rows(3), _Rows(4)])
    assert parts[Draw(2, (0, 0, 9))] == (2, (0, 0, 9))
    assert parts[Draw(4, (0, 0, 9))] == (1, (0, 0, 9))
    assert RepeatDataset(_Rows(4), 2)[Draw(5, (0, 0, 9))] == (1, (0, 0, 9))


class _Rows(BaseDataset):
    def __init__(self, rows):
        self.rows = rows
        super().__init__()

    def load_data_list(self):
        return [{} for _ in range(self.rows)]

    def __getitem__(self, idx):
        return int(idx), idx.key


@pytest.mark.parametrize(
    ('ours', 'theirs'), [(EpochSampler, DefaultSampler), (RepeatedSampler, RepeatAugSampler)]
)
def test_epochs(ours, theirs):
    ours, theirs = ours(ROWS, seed=4), theirs(ROWS, seed=4)
    for epoch in range(2):
        ours.set_epoch(epoch), theirs.set_epoch(epoch)
        whole = list(ours)
        assert whole == list(theirs)
        assert [draw.key for draw in whole] == [(4, epoch, place) for place in range(10)]
        ours.start_at(7)
        rest = list(ours)
        assert rest == whole[7:] and [d.key for d in rest] == [d.key for d in whole[7:]]
        assert list(ours) == whole  # once
    ours.start_at(10)
    assert list(ours) == []


def test_endless():
    whole = _take(EndlessSampler(ROWS, seed=4), 25)
    assert whole == _take(InfiniteSampler(ROWS, seed=4), 25)
    later = EndlessSampler(ROWS, seed=4)
    later.skip(13)
    rest = _take(later, 12)
    assert rest == whole[13:] and [d.key for d in rest] == [d.key for d in whole[13:]]


def test_two_ranks_draw_what_one_draws(monkeypatch):
    whole = {draw.key: int(draw) for draw in _take(EndlessSampler(ROWS, seed=1), 20)}
    halves = {}
    for rank in range(2):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 2))
        halves.update({draw.key: int(draw) for draw in _take(EndlessSampler(ROWS, seed=1), 10)})
    assert halves == whole
