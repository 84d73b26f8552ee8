"""Contract: arguments that the Slurm scripts pass to srun, here a script that prints them."""

import os
import subprocess

import pytest


@pytest.fixture
def run_script(tmp_path):
    """Run a script with an srun that prints its arguments, one in a line."""
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)

    def run(*arguments, **environment):
        env = {**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}', **environment}
        done = subprocess.run(arguments, env=env, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.splitlines() or done.stderr.splitlines()

    return run


def test_training(run_script):
    _, lines = run_script(
        'tools/slurm_train.sh', 'gpu', 'mvlt', 'a.py', '--amp', GPUS='4', SRUN_ARGS='-w x'
    )
    assert lines[:6] == [
        *('-p', 'gpu', '--job-name=mvlt', '--gres=gpu:4', '--ntasks=4', '--ntasks-per-node=4')
    ]
    assert lines[6:10] == ['--cpus-per-task=8', '--kill-on-bad-exit=1', '-w', 'x']
    assert lines[10:] == ['python', '-u', 'tools/train.py', 'a.py', '--launcher', 'slurm', '--amp']


def test_testing_on_two_machines(run_script):
    _, lines = run_script('tools/slurm_test.sh', 'gpu', 'mvlt', 'a.py', 'b.pth', GPUS='16')
    assert '--gres=gpu:8' in lines and '--ntasks=16' in lines
    assert lines[-4:] == ['a.py', 'b.pth', '--launcher', 'slurm']


def test_missing_arguments_are_named(run_script):
    code, lines = run_script('tools/slurm_test.sh', 'gpu', 'mvlt', 'a.py')
    assert code == 2 and 'PARTITION JOB_NAME CONFIG CHECKPOINT' in lines[0]
