"""Contract: shops' exports are accepted with the good table's content, or refused in one line."""

import pytest

from tests.faults.awkward_tables import CASES, COUNT, Case, try_case


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    return try_case(Case('good', lambda root, table: table), tmp_path_factory.mktemp('a') / 'good')


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.name)
def test_case(case, good, tmp_path):
    outcome = try_case(case, tmp_path / 'shop')
    assert (outcome.captions is not None) == case.accepted, outcome.lines
    if not case.accepted:
        assert '\n' not in outcome.lines[-1] and 'products' in outcome.lines[-1]
        return
    assert outcome.rows == (case.rows or COUNT)
    same = {name: text for name, text in outcome.captions.items() if good.captions[name] == text}
    if not case.name.endswith(('captions are empty', 'images in a cell')):
        assert same == outcome.captions
    assert set(good.captions) - set(outcome.captions) <= {'p0'}


def test_there_are_forty_and_most_are_accepted(good):
    assert len(CASES) >= 40 and sum(case.accepted for case in CASES) >= 30
    assert len(good.captions) == COUNT and all(good.captions.values())
