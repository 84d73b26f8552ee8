"""The project's commands as tests call them: in this process, or in one of their own.

Starting Python and importing PyTorch takes longer than most of what is asked of a tool, so tests
call it here, and in a process of its own only where that is what they test.
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
    """Run ``tools/...py`` within this process: its status and what it printed."""
    words = [str(ROOT / tool), *map(str, arguments)]
    out, err, status = StringIO(), StringIO(), 0
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, 'argv', words),
        mock.patch.object(sys, 'path', list(sys.path)),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            runpy.run_path(words[0], run_name='__main__')
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:  # loggers and the like go by names, and print where they were made
            for kind in (MMLogger, MessageHub, Visualizer, DefaultScope):
                kind._instance_dict.clear()
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())


def run_apart(*command: Any, **environment: str) -> subprocess.CompletedProcess:
    """Run a command in a process of its own, on one thread: its status and what it printed."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable, **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
