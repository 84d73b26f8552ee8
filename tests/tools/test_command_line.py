"""Contract: a user's mistake is one line and status 2, also from a data worker; ctrl-C is 130."""

import pytest

from mvlt.tools.command_line import run_command


def _end(error, capsys):
    def fail():
        raise error

    with pytest.raises(SystemExit) as ended:
        run_command(fail)
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ('error', 'line'),
    [
        (ValueError('a.csv, row 3: wrong'), 'error: a.csv, row 3: wrong\n'),
        (KeyError("no column 'x'"), "error: no column 'x'\n"),
        (
            OSError(
                'Caught OSError in DataLoader worker process 0.\nOriginal Traceback (most recent '
                'call last):\n  File "x.py", line 1\nOSError: a.csv, row 3: b.png: unreadable\n'
            ),
            'error: a.csv, row 3: b.png: unreadable\n',
        ),
    ],
)
def test_mistakes_are_one_line(error, line, capsys, monkeypatch):
    monkeypatch.delenv('MVLT_TRACEBACK', raising=False)
    assert _end(error, capsys) == (2, line)


def test_a_stop_says_so(capsys):
    assert _end(KeyboardInterrupt(), capsys) == (130, 'stopped\n')


def test_the_traceback_on_demand(monkeypatch):
    monkeypatch.setenv('MVLT_TRACEBACK', '1')

    def fail():
        raise ValueError('why')

    with pytest.raises(ValueError, match='why'):
        run_command(fail)
