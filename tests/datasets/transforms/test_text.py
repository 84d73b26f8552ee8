"""Contract: BERT's 80 / 10 / 10, never a special token, labels exactly at chosen tokens."""

import numpy as np
import pytest

from mvlt.datasets import MaskWords, Tokenize, load_tokenizer

CAPTION = 'Red Striped Cotton Shorts. Navy stripes.'


@pytest.fixture
def folder(demo_data):
    return str(demo_data / 'tokenizer')


def _tokens(folder, caption=CAPTION, max_length=64):
    return Tokenize(folder, max_length)(dict(caption=caption))


def test_cls_tokens_sep(folder):
    tokenizer = load_tokenizer(folder)
    ids = _tokens(folder)['token_ids']
    assert ids.dtype == np.int64
    assert ids[0] == tokenizer.cls_id and ids[-1] == tokenizer.sep_id
    assert tokenizer.decode(ids[1:-1]).startswith('red striped cotton shorts')


def test_long_caption_keeps_both_ends(folder):
    tokenizer = load_tokenizer(folder)
    ids = _tokens(folder, CAPTION * 50, max_length=16)['token_ids']
    assert len(ids) == 16
    assert ids[0] == tokenizer.cls_id and ids[-1] == tokenizer.sep_id


@pytest.mark.parametrize('caption', ['', '   '])
def test_empty_caption_is_cls_and_sep(folder, caption):
    ids = _tokens(folder, caption)['token_ids']
    assert len(ids) == 2
    masked = MaskWords(folder, ratio=1.0)(dict(token_ids=ids))
    assert np.array_equal(masked['token_ids'], ids)
    assert (masked['mlm_labels'] == -1).all()


def test_ratio_0_masks_nothing_and_1_everything_but_special_tokens(folder):
    ids = _tokens(folder)['token_ids']
    none = MaskWords(folder, ratio=0)(dict(token_ids=ids))
    assert np.array_equal(none['token_ids'], ids) and (none['mlm_labels'] == -1).all()
    every = MaskWords(folder, ratio=1, mask_prob=1, random_prob=0)(dict(token_ids=ids))
    assert (every['token_ids'][1:-1] == load_tokenizer(folder).mask_id).all()
    assert np.array_equal(every['mlm_labels'][1:-1], ids[1:-1])
    assert every['mlm_labels'][[0, -1]].tolist() == [-1, -1]


def test_80_10_10(folder):
    tokenizer = load_tokenizer(folder)
    ids = np.tile(_tokens(folder)['token_ids'][1:-1], 4000)
    masked = MaskWords(folder, ratio=0.15)(dict(token_ids=ids))
    chosen = masked['mlm_labels'] >= 0
    new, old = masked['token_ids'][chosen], ids[chosen]
    assert abs(chosen.mean() - 0.15) < 0.01
    assert np.array_equal(masked['token_ids'][~chosen], ids[~chosen])
    assert np.array_equal(masked['mlm_labels'][chosen], old)
    assert abs((new == tokenizer.mask_id).mean() - 0.8) < 0.02
    random_ids = new[(new != tokenizer.mask_id) & (new != old)]
    assert abs(len(random_ids) / len(new) - 0.1) < 0.02
    assert not set(random_ids) & set(tokenizer.special_ids)


@pytest.mark.parametrize(
    'wrong', [dict(ratio=1.2), dict(ratio=-0.1), dict(mask_prob=0.8, random_prob=0.3)]
)
def test_probabilities_are_checked(folder, wrong):
    with pytest.raises(ValueError, match='MaskWords'):
        MaskWords(folder, **wrong)


def test_max_length_leaves_room_for_a_token(folder):
    with pytest.raises(ValueError, match='max_length=2'):
        Tokenize(folder, max_length=2)
