"""Runs the project's commands for tests, in this process or in a new one.

Starting Python and importing PyTorch takes longer than most commands, so tests start a new process
only to test that.
"""

import os
import runpy
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

ROOT = Path(__file__).parents[1]


def run_here(tool: str, *arguments: Any, **environment: str) -> subprocess.CompletedProcess:
    """Run ``tools/...py`` in this process; return status and output."""
    command = [str(ROOT / tool), *map(str, arguments)]
    out, err, status = StringIO(), StringIO(), 0
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, 'argv', command),
        mock.patch.object(sys, 'path', list(sys.path)),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            runpy.run_path(command[0], run_name='__main__')
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:  # named loggers keep the streams of their first use
            for kind in (MMLogger, MessageHub, Visualizer, DefaultScope):
                kind._instance_dict.clear()
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


def run_apart(*command: Any, **environment: str) -> subprocess.CompletedProcess:
    """Run a command in a new process with one thread; return status and output."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable, **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
