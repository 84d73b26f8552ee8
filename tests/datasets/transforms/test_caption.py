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


@pytest.mark.parametrize('name', ['other', 'drop', 'shuffle'])
def test_legal_values(name):
    with pytest.raises(ValueError, match=f'AugmentCaption.{name}=1.5: a probability'):
        AugmentCaption(**{name: 1.5})
