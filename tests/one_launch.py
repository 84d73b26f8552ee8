"""Runs several of the project's commands in the same two processes.

Starting processes takes longer than most commands.
"""

import json
import sys
from typing import Any

from mvlt.tools import command_line
from tests.commands import run_apart, run_here
from tests.faults.runs import free_port


def run_in_one_launch(*commands: tuple[Any, ...]) -> str:
    """Run each command (``tools/...py`` and arguments) on both processes; return the output."""
    done = run_apart(
        *(sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2'),
        *(f'--master_port={free_port()}', '-m', 'tests.one_launch'),
        *(json.dumps([str(word) for word in command]) for command in commands),
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


def main() -> None:
    """A process of the launch: run the commands until one fails."""
    leave, command_line._leave_group = command_line._leave_group, lambda: None
    for command in map(json.loads, sys.argv[1:]):
        done = run_here(*command, '--launcher', 'pytorch')
        print(done.stdout, done.stderr, flush=True)
        if done.returncode:
            sys.exit(done.returncode)
    leave()


if __name__ == '__main__':
    main()
