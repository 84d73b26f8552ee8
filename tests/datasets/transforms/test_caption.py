"""Contract: other words for the same product, never none; the dataset's own stays known."""

from collections import Counter

import numpy as np
import pytest

from mvlt.datasets import AugmentCaption

CAPTION = 'a light red shoe'
WORDINGS = ('Red Shoes', 'Shoes')


def _words(times=2000, caption_templates=WORDINGS, **settings):
    np.random.seed(0)
    transform = AugmentCaption(**settings)
    found = [
        transform(dict(caption=CAPTION, caption_templates=caption_templates)) for _ in range(times)
    ]
    assert all(one['title'] == CAPTION for one in found)
    return Counter(one['caption'] for one in found)


def test_nothing_and_everything():
    assert _words() == {CAPTION: 2000}
    assert _words(other=1.0).keys() == set(WORDINGS)
    assert _words(other=1.0, caption_templates=()) == {CAPTION: 2000}
    assert _words(drop=1.0) == {CAPTION: 2000}  # one without words says nothing
    assert sorted(next(iter(_words(1, shuffle=1.0))).split()) == sorted(CAPTION.split())


def test_as_often_as_asked():
    found = _words(other=0.3, drop=0.1)
    assert sum(found[one] for one in WORDINGS) / 2000 == pytest.approx(0.3, abs=0.03)
    assert found[CAPTION] / 2000 == pytest.approx(0.7 * 0.9**4, abs=0.03)
    kept = [one.split() for one in found if one not in WORDINGS]
    order = CAPTION.split()
    assert all(sorted(one, key=order.index) == one for one in kept)


@pytest.mark.parametrize('name', ['other', 'drop', 'shuffle'])
def test_legal_values(name):
    with pytest.raises(ValueError, match=f'AugmentCaption.{name}=1.5: a probability'):
        AugmentCaption(**{name: 1.5})
