"""Contract: orders as mmengine's, which resume at any sample; a draw has its key."""

import itertools
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

from mvlt.datasets import (
    CategoryBatchSampler,
    EndlessSampler,
    EpochSampler,
    LengthSampler,
    RepeatedSampler,
)
from mvlt.datasets.sampling import Draw

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
        assert [draw.key for draw in whole] == [(4, epoch, position) for position in range(10)]
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


class _Products:
    """40 rows of 30 products: category 0 has 24 rows, 1 has 12, 2 has 4."""

    def __len__(self):
        return 40

    def get_data_info(self, row):
        category = 0 if row < 24 else 1 if row < 36 else 2
        caption = ' '.join('w' * (1 + 7 * row % 13))
        return dict(sub_category=category, product_id=str(row % 30), caption=caption)


def test_groups_share_a_category_and_no_product_comes_twice():
    sampler = CategoryBatchSampler(_Products(), batch_size=10, group=4, share=0.8, seed=1)
    categories, products = sampler.labels
    for epoch in range(5):
        batches = sampler.batches(epoch)
        assert len(batches) >= 3 and all(len(batch) == 10 for batch in batches)
        rows = [row for batch in batches for row in batch]
        assert len(set(rows)) == len(rows)
        for batch in batches:
            assert len(set(products[batch].tolist())) == 10
        groups = [categories[batch[start : start + 4]] for batch in batches for start in (0, 4)]
        alike = [len(set(group.tolist())) == 1 for group in groups]
        assert sum(alike) >= len(groups) - 2  # one product's second row goes to a later batch
    assert sampler.batches(0) != sampler.batches(1)


def test_captions_of_a_batch_have_similar_lengths():
    """Four batches of ten: sorted within all four, within each alone."""
    sampler = LengthSampler(_Products(), batch_size=10, pool=4, seed=1)
    batches = sampler.batches(0)
    assert sorted(row for batch in batches for row in batch) == list(range(40))
    spans = sorted(
        (min(lengths), max(lengths)) for lengths in (sampler.lengths[batch] for batch in batches)
    )
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert sampler.batches(0) == batches != sampler.batches(1)
    alone = LengthSampler(_Products(), batch_size=10, pool=1, seed=1).batches(0)
    assert all(len(set(sampler.lengths[batch])) > 4 for batch in alone)


def test_lengths_are_those_of_the_records_not_of_drawn_captions():
    class Wrapped:
        dataset = _Products()

        def __len__(self):
            return 40

        def get_data_info(self, row):
            raise AssertionError('MatchingPairs draws here')

    assert LengthSampler(Wrapped(), 10, seed=1).batches(0) == LengthSampler(
        _Products(), 10, seed=1
    ).batches(0)
    Wrapped.__len__ = lambda self: 20
    with pytest.raises(ValueError, match='Wrapped has 20 rows, its records are 40'):
        LengthSampler(Wrapped(), 10, seed=1).batches(0)


@pytest.mark.parametrize(
    ('kind', 'settings'), [(CategoryBatchSampler, dict(group=2)), (LengthSampler, dict(pool=2))]
)
def test_batches_resume_anywhere_and_are_shared(monkeypatch, kind, settings):
    def make():
        return kind(_Products(), 5, seed=3, **settings)

    whole = _take(make(), 60)
    assert [draw.key for draw in whole] == [(3, 0, position) for position in range(60)]
    for done in (0, 5, 15, 35, 40, 55):
        sampler = make()
        sampler.skip(done)
        rest = _take(sampler, 60 - done)
        assert rest == whole[done:] and [draw.key for draw in rest] == [d.key for d in whole[done:]]
    parts = []
    for rank in range(2):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 2))
        parts.append(_take(make(), 30))
    batches = make().batches(0)
    for i, batch in enumerate(batches):
        shares = [part[5 * i : 5 * i + 5] for part in parts]
        assert shares[0] + shares[1] == batch
        assert shares[0][0].key == (3, 0, 10 * i) and shares[1][0].key == (3, 0, 10 * i + 1)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(batch_size=50), '40 rows do not fill one batch of 50'),
        (dict(batch_size=10, group=11), 'group=11, share=0.5; legal: 2 to batch_size=10 rows'),
        (dict(batch_size=10, group=2, category='kind'), "category='kind': the training data has"),
        (dict(batch_size=35, group=2), 'no batch of 35 different products'),
    ],
)
def test_illegal_category_batches(settings, message):
    with pytest.raises(ValueError, match=message):
        next(iter(CategoryBatchSampler(_Products(), **settings)))
