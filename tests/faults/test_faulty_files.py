"""Contract: bad files are read correctly or named in one line; hostile files run nothing."""

import pytest

from tests.faults.faulty_files import BAD, hostile, outcome


@pytest.mark.parametrize('case', BAD, ids=lambda case: case.kind)
def test_bad(case, tmp_path):
    assert outcome(case, tmp_path) == ''


def test_there_are_thirty_kinds():
    assert len({case.kind for case in BAD}) == len(BAD) >= 30


def test_hostile(tmp_path):
    for number, case in enumerate(hostile(tmp_path / 'ran')):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert outcome(case, folder) == '', case.kind
        assert not (tmp_path / 'ran').exists(), case.kind
