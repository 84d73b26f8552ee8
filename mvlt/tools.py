"""The commands of tools/ as modules: `python -m mvlt.tools.train`."""

from mvlt import HOME

__path__ = [str(HOME / 'tools')]
