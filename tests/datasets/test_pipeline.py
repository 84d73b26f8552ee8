"""Contract: named steps run in order; None skips a step."""

import pytest

from mvlt.datasets import Pipeline, Tokenize
from mvlt.datasets.pipeline import named


def _adds(letter):
    return lambda results: dict(results, said=results.get('said', '') + letter)


def test_order_names_and_what_is_left_out():
    pipeline = Pipeline(dict(load=_adds('a'), flip=None, resize=_adds('b'), pack=_adds('c')))
    assert pipeline(dict())['said'] == 'abc'
    assert list(pipeline.steps) == ['load', 'resize', 'pack']


def test_a_list_works_too():
    pipeline = Pipeline([_adds('a'), _adds('b')])
    assert pipeline(dict())['said'] == 'ab' and list(pipeline.steps) == ['0', '1']
    assert Pipeline(None)(dict(x=1)) == dict(x=1) and named(None) == {}


def test_nothing_comes_after_packing():
    """As in mmengine's dump, which sorts keys."""
    with pytest.raises(ValueError, match="'pack' must be the last step.*load, pack, resize"):
        Pipeline(dict(load=_adds('a'), pack=_adds('b'), resize=_adds('c')))


def test_around():
    words = Tokenize(tokenizer='none')
    pipeline = Pipeline(dict(load=_adds('a'), tokenize=words, pack=_adds('b')))
    before, behind = pipeline.around(Tokenize)
    assert list(before.steps) == ['load'] and list(behind.steps) == ['tokenize', 'pack']
    assert pipeline.tokenize() is words and pipeline.find(int) is None
    before, behind = before.around(Tokenize)
    assert list(before.steps) == ['load'] and not behind.steps
    with pytest.raises(ValueError, match='no Tokenize'):
        behind.tokenize()


def test_an_unknown_step_lists_the_legal_ones():
    with pytest.raises(KeyError, match=r'Did you mean StrokeMask\?'):
        Pipeline(dict(mask=dict(type='StrokesMask')))
