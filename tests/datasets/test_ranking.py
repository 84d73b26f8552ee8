"""Contract: one image, its caption first, then captions of other products."""

import pytest
from mmcv.transforms import BaseTransform

from mvlt.datasets import (
    Catalogue,
    LoadImage,
    PackPairInputs,
    RankingGroups,
    Tokenize,
    collate_groups,
    train_tokenizer,
)


class CountRuns(BaseTransform):
    """Counts how often it has run."""

    runs = 0

    def transform(self, results):
        CountRuns.runs += 1
        return results


@pytest.fixture
def build(catalogue, tmp_path):
    train_tokenizer([f'Thing number {i}' for i in range(20)], tmp_path / 'tokenizer', 60)

    def make(num_negatives):
        return RankingGroups(
            dict(
                type=Catalogue,
                data_root=str(catalogue),
                ann_file='products.csv',
                columns=dict(image='image', product_id='id'),
                caption='{title}',
                split='all',
                pipeline=dict(
                    load=dict(type=LoadImage),
                    count=CountRuns(),
                    tokenize=dict(
                        type=Tokenize, max_length=16, tokenizer=str(tmp_path / 'tokenizer')
                    ),
                    pack=dict(type=PackPairInputs),
                ),
            ),
            num_negatives=num_negatives,
        )

    return make


def test_groups(build):
    CountRuns.runs = 0
    group = build(15)[3]
    assert CountRuns.runs == 1 and len(group) == 16
    captions = [sample['data_samples'].caption for sample in group]
    assert captions[0] == 'Thing number 3' and len(set(captions)) == 16
    assert [sample['data_samples'].matched for sample in group] == [1] + [0] * 15
    first = group[0]['inputs']['image']
    assert all((sample['inputs']['image'] == first).all() for sample in group)


def test_collated_groups_follow_each_other(build):
    groups = build(2)
    batch = collate_groups([groups[0], groups[5]])
    assert len(batch['inputs']['image']) == 6
    assert [sample.matched for sample in batch['data_samples']] == [1, 0, 0, 1, 0, 0]


def test_too_few_other_captions(build):
    assert len(build(19)[0]) == 20
    with pytest.raises(ValueError, match='only 19 captions of other products'):
        build(20)[0]
    with pytest.raises(ValueError, match='one at least'):
        build(0)
