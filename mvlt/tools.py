"""The commands of tools/ as modules: `python -m mvlt.tools.train`, in a checkout and installed."""

from mvlt import HOME

__path__ = [str(HOME / 'tools')]
