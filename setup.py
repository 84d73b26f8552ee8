"""Let a wheel bring configs and tools along in mvlt/.mim, as OpenMMLab's do; the rest: setup.cfg.

In a checkout, editable or not installed at all, the repository's own folders are read.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BROUGHT = ('configs', 'tools', 'model-index.yml', 'projects/baselines/metafile.yml')


class BuildWithConfigs(build_py):
    """build_py, and a copy of :data:`BROUGHT`."""

    def run(self) -> None:
        """Build."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, 'mvlt', '.mim')
        shutil.rmtree(target, ignore_errors=True)  # of an earlier build
        for name in BROUGHT:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            if Path(name).is_dir():
                unwanted = shutil.ignore_patterns('__pycache__', '.*')
                shutil.copytree(name, target / name, ignore=unwanted)
            else:
                shutil.copy(name, target / name)


setup(cmdclass=dict(build_py=BuildWithConfigs))
