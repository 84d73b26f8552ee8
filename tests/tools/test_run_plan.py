"""Contract: steps run once, in order; a result counts only with the checkpoint that it needs."""

import json
import re
import subprocess

import pytest
import torch

from mvlt.config import load_config
from mvlt.files import file_sha256
from mvlt.tools import demo, run_plan
from mvlt.tools.run_plan import Step, _logged_eta, _time_left, config_step, cpu_seconds, run

TOOL = """
import sys
from pathlib import Path
folder, fails = Path(sys.argv[1]), Path(sys.argv[2])
print('eta: 0:00:01')
if fails.exists():
    sys.exit('error: it broke')
(folder / 'result').write_text('done')
"""


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """Three steps; they fail if the file ``fails`` exists."""
    monkeypatch.setattr(run_plan, 'TOOLS', tmp_path)
    (tmp_path / 'tool.py').write_text(TOOL)
    folders = [tmp_path / name for name in ('a', 'b', 'c')]
    return [
        Step(
            *(f'{path.name}: kind', path, ['tool.py', str(path), str(tmp_path / 'fails')]),
            path / 'result',
        )
        for path in folders
    ]


def test_a_failure_names_step_output_and_command_and_the_rest_resumes(steps, tmp_path, capsys):
    run(steps[:1], tmp_path)
    (tmp_path / 'fails').touch()
    with pytest.raises(ValueError) as caught:
        run(steps, tmp_path)
    line = (
        rf'b: kind: it broke \(status 1, output in {steps[1].folder}/output.txt\); .*tool.py .*b '
    )
    assert re.match(line, str(caught.value)) and '\n' not in str(caught.value)
    assert not steps[2].folder.exists()
    (tmp_path / 'fails').unlink()
    capsys.readouterr()
    run(steps, tmp_path)
    printed = capsys.readouterr().out
    assert '[1/3] a: kind: done before' in printed and re.search(
        r'\[3/3\] c: kind\n\$ .*tool', printed
    )
    assert all(step.is_done and cpu_seconds(step.folder) > 0 for step in steps)


def test_a_command_that_leaves_no_result(steps, tmp_path):
    with pytest.raises(ValueError, match='a: kind: .*another is missing .status 0'):
        run([steps[0]._replace(result=tmp_path / 'another')], tmp_path)


def test_a_stop_waits_for_the_step(steps, tmp_path, monkeypatch):
    wait = subprocess.Popen.wait

    def stop(process, timeout=None):
        if timeout is not None:
            raise KeyboardInterrupt
        return wait(process)

    monkeypatch.setattr(subprocess.Popen, 'wait', stop)
    with pytest.raises(KeyboardInterrupt, match='run the same command to resume'):
        run(steps, tmp_path)
    assert steps[0].is_done and cpu_seconds(steps[0].folder) > 0 and not steps[1].folder.exists()


def _checkpoint(path, name, start=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = dict(experiment_name=name, started_from=dict(experiment_name=start))
    torch.save(dict(state_dict=dict(a=torch.ones(100)), meta=meta), path)
    return path


def test_a_truncated_checkpoint_is_not_done(tmp_path):
    path = _checkpoint(tmp_path / 'iter_2.pth', 'x')
    step = Step('x', tmp_path, [], path)
    assert step.is_done
    path.write_bytes(path.read_bytes()[:400])
    assert not step.is_done


def test_a_model_of_another_checkpoint_is_refused(tmp_path):
    """A training is identified by its start, a published folder by its training."""
    start = _checkpoint(tmp_path / 'start/iter_2.pth', 'first')
    tuned = Step('x', tmp_path / 'x', [], tmp_path / 'x/iter_2.pth', start)
    same = Step('y', tmp_path / 'y', [], tmp_path / 'y/iter_2.pth', start)
    assert not tuned.is_done
    _checkpoint(tuned.result, 'second', 'first')
    _checkpoint(same.result, 'first')
    assert tuned.is_done and same.is_done
    _checkpoint(start, 'third')  # trained again
    for step in (tuned, same):
        with pytest.raises(ValueError, match='made from another iter_2.pth.*delete that folder'):
            assert step.is_done
    start.unlink()
    assert not tuned.is_done


def test_results_of_another_checkpoint_are_not_reused(tmp_path):
    start = _checkpoint(tmp_path / 'iter_2.pth', 'first')
    step = Step('x', tmp_path, [], tmp_path / 'results.json', start)
    assert not step.is_done
    for digest, done in (('another', False), (file_sha256(start), True)):
        step.result.write_text(json.dumps(dict(checkpoint_sha256=digest)))
        assert step.is_done is done


def test_other_settings_are_refused(tmp_path):
    config = load_config('demo/shop_demo', {'train_cfg.max_iters': 5})
    step = config_step('x', config, tmp_path)
    assert step == config_step('x', config, tmp_path)
    assert step.command[1:] == (
        *(str(tmp_path / 'config/shop_demo.py'), '--work-dir', str(tmp_path), '--resume'),
    )
    assert load_config(step.command[1]).train_cfg.max_iters == 5
    assert step.result == tmp_path / 'iter_5.pth'
    message = r'started with other settings \(train_cfg.max_iters 5 then, 6 now\): delete it'
    with pytest.raises(ValueError, match=message):
        config_step('x', load_config('demo/shop_demo', {'train_cfg.max_iters': 6}), tmp_path)
    with pytest.raises(ValueError, match='gpus 1 then, 2 now'):
        config_step('x', config, tmp_path, gpus=2)


def test_several_gpus(tmp_path):
    config, best = load_config('demo/retrieval_demo'), tmp_path / 'best.pth'
    step = config_step('x', config, tmp_path, best, gpus=8)
    assert step.command[0] == 'dist_test.sh' and step.command[2:4] == (str(best), '8')
    assert step.needs == best and step.result == tmp_path / 'results.json'


@pytest.mark.parametrize(
    ('text', 'seconds', 'line'),
    [
        ('nothing', None, '0:00:30 left, in all 0:00:50 plus c'),
        ('eta: 0:02:38  time\n eta: 1 day, 1:00:05 x', 90005, '1 day, 1:00:05 left'),
        ('retrieval: 5 of 9 pairs scored, 17 s left', 17, '0:00:17 left, in all 0:00:37 plus'),
    ],
)
def test_time_left(tmp_path, text, seconds, line):
    (tmp_path / 'output.txt').write_text(text)
    assert _logged_eta(tmp_path) == seconds
    usual = dict(a=40.0, b=20.0)
    assert _time_left(tmp_path, ['a', 'b', 'c'], usual, 10.0).startswith(line)
    if seconds is None:
        assert _time_left(tmp_path, ['c', 'b'], usual, 1).startswith('? left, in all 0:00:20')


def test_the_demos_plan(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, 'ROOT', tmp_path)
    _, train, *tests, folder = demo.plan()
    assert train.result == tmp_path / 'shop/iter_500.pth'
    assert {test.needs for test in (*tests, folder)} == {train.result}
    assert load_config(tests[0].command[1]).test_cfg.rerank is None
    assert folder.command[-3:] == [str(test.result) for test in tests]
