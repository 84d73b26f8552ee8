"""Contract: a refactoring reproduces losses, reconstructions and ranks (tests/golden)."""

import json

import pytest

from tests.golden import runs


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('golden')
    runs.write_data(root)
    return root


def _kept(name):
    return json.loads((runs.HERE / f'{name}.json').read_text())


@pytest.mark.parametrize('name', runs.TRAININGS)
def test_losses(name, data):
    """Every term of 20 steps to 1e-6."""
    terms, kept = runs.losses(name, data), _kept('losses')[name]
    assert len(terms) == len(kept) == 20
    for step, (new, old) in enumerate(zip(terms, kept)):
        assert new == pytest.approx(old, abs=1e-6, rel=1e-6), step


@pytest.mark.parametrize('name', runs.GENERATIONS)
def test_generation(name, data):
    assert runs.generation(name, data) == pytest.approx(_kept('generation')[name], rel=1e-5)


@pytest.mark.parametrize('title', runs.RANKINGS)
def test_rankings(title, data, tmp_path):
    """Every rank is the same."""
    report, kept = runs.ranking(*runs.RANKINGS[title], data, tmp_path), _kept('rankings')[title]
    assert report['ranks'] == kept['ranks']
    # these metrics were added later
    added = {name for name in report['metrics'] if name.endswith(('/chance', '/candidates'))}
    figures = {name: value for name, value in report['metrics'].items() if name not in added}
    assert len(added) == 4 and figures == pytest.approx(kept['metrics'])
    assert any(len(set(ranks)) > 3 for ranks in kept['ranks'].values())  # ranks vary
