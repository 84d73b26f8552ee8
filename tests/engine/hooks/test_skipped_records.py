"""Contract: every skipped record is listed once; too many end the run."""

import json
from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger

from mvlt.engine import SkippedRecordsHook
from mvlt.structures import PairDataSample


def _runner(work_dir, rows=300, resume=False):
    return SimpleNamespace(
        work_dir=str(work_dir),
        iter=5,
        _resume=resume,
        logger=MMLogger.get_instance('skipped'),
        train_dataloader=SimpleNamespace(dataset=range(rows)),
    )


def _batch(*skipped):
    return dict(
        data_samples=[PairDataSample(metainfo=dict(skipped=list(skipped))), PairDataSample()]
    )


def _listed(work_dir):
    return [json.loads(line) for line in (work_dir / 'skipped.jsonl').read_text().splitlines()]


def test_list_and_bound(tmp_path):
    hook, runner = SkippedRecordsHook(max_share=0.01), _runner(tmp_path)
    hook.before_train(runner)
    hook.before_train_iter(runner, 0, _batch((7, 'cut'), (8, 'gone')))
    hook.before_train_iter(runner, 1, _batch((7, 'cut'), (9, 'gone')))  # the third: 1 % of 300
    assert [record['row'] for record in _listed(tmp_path)] == [7, 8, 9]
    assert _listed(tmp_path)[1] == dict(row=8, step=5, reason='gone')
    with pytest.raises(ValueError, match=r'4 of 300 records.*max_share=0\.01.*check_dataset'):
        hook.before_train_iter(runner, 2, _batch((10, 'cut')))


def test_one_may_always_be_left_out(tmp_path):
    hook, runner = SkippedRecordsHook(), _runner(tmp_path, rows=20)
    hook.before_train(runner)
    hook.before_train_iter(runner, 0, _batch((7, 'cut')))
    with pytest.raises(ValueError, match='2 of 20'):
        hook.before_train_iter(runner, 0, _batch((8, 'cut')))


def test_a_resumed_run_goes_on_with_the_list_and_a_new_one_does_not(tmp_path):
    for resume, rows in ((False, [7]), (True, [7, 8]), (False, [8])):
        hook, runner = SkippedRecordsHook(), _runner(tmp_path, resume=resume)
        hook.before_train(runner)
        hook.before_train_iter(runner, 0, _batch((rows[-1], 'cut')))
        assert [record['row'] for record in _listed(tmp_path)] == rows


def test_legal_share():
    with pytest.raises(ValueError, match='from 0 to 1'):
        SkippedRecordsHook(max_share=2)
