"""Contract: another caption of the same product, never none; the dataset's own stays as title."""

from collections import Counter

import numpy as np
import pytest

from mvlt.datasets import AugmentCaption

CAPTION = 'a light red shoe'
OTHER_CAPTIONS = ('Red Shoes', 'Shoes')


def _captions(times=2000, other_captions=OTHER_CAPTIONS, **settings):
    np.random.seed(0)
    transform = AugmentCaption(**settings)
    records = [
        transform(dict(caption=CAPTION, other_captions=other_captions)) for _ in range(times)
    ]
    assert all(record['title'] == CAPTION for record in records)
    return Counter(record['caption'] for record in records)


def test_nothing_and_everything():
    assert _captions() == {CAPTION: 2000}
    assert _captions(other=1.0).keys() == set(OTHER_CAPTIONS)
    assert _captions(other=1.0, other_captions=()) == {CAPTION: 2000}
    assert _captions(drop=1.0) == {CAPTION: 2000}  # an empty caption says nothing
    assert sorted(next(iter(_captions(1, shuffle=1.0))).split()) == sorted(CAPTION.split())


def test_as_often_as_asked():
    counts = _captions(other=0.3, drop=0.1)
    assert sum(counts[text] for text in OTHER_CAPTIONS) / 2000 == pytest.approx(0.3, abs=0.03)
    assert counts[CAPTION] / 2000 == pytest.approx(0.7 * 0.9**4, abs=0.03)
    kept = [text.split() for text in counts if text not in OTHER_CAPTIONS]
    order = CAPTION.split()
    assert all(sorted(words, key=order.index) == words for words in kept)


def test_brands_are_dropped_now_and_then():
    np.random.seed(0)
    step = AugmentCaption(drop_brand=0.2)
    record = dict(caption='Red Tape Men Shoe', brand='red tape')
    counts = Counter(step(dict(record))['caption'] for _ in range(2000))
    assert counts.keys() == {'Red Tape Men Shoe', 'Men Shoe'}
    assert counts['Men Shoe'] / 2000 == pytest.approx(0.2, abs=0.03)
    always = AugmentCaption(drop_brand=1.0, other=1.0)
    changed = always(dict(record, other_captions=['Red Tape shoe']))
    assert changed['caption'] == 'Red Tape shoe'
    assert always(dict(record))['title'] == 'Red Tape Men Shoe'
    assert always(dict(record, brand=''))['caption'] == 'Red Tape Men Shoe'
    with pytest.raises(KeyError, match="drop_brand: records have no brand; set brand='guess'"):
        step(dict(caption='Red Tape Men Shoe'))


def test_random_numbers_are_those_of_before():
    """drop_brand=0 draws nothing, so that runs without it stay the same."""
    np.random.seed(3)
    AugmentCaption(drop=0.5)(dict(caption=CAPTION))
    following = np.random.random()
    np.random.seed(3)
    np.random.random(1 + len(CAPTION.split()))
    assert np.random.random() == following


@pytest.mark.parametrize('name', ['other', 'drop', 'shuffle', 'drop_brand'])
def test_legal_values(name):
    with pytest.raises(ValueError, match=f'AugmentCaption.{name}=1.5: a probability'):
        AugmentCaption(**{name: 1.5})
