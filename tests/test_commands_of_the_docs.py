"""Contract: tools take the commands of README, site and projects, and configs know their options.

None is run: each is parsed by its tool, and its config is read with the values that it sets.
"""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from mvlt.config import load_config
from tests.commands import ROOT, run_here

PAGES = (
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'configs/README.md')),
    *(ROOT / 'docs').glob('*.md'),
    *(ROOT / 'projects').glob('*/README.md'),
)


def _commands() -> list[str]:
    """Those of tools and projects, indented or between backticks, without their comments."""
    commands = set()
    for page in PAGES:
        text = page.read_text(encoding='utf-8').replace('\\\n', ' ')
        lines = re.findall(r'^    (?:python )?((?:tools/|-m projects\.).*)', text, re.MULTILINE)
        lines += re.findall(r'`(?:python )?((?:tools/|-m projects\.)[^`]* [^`]*)`', text)
        commands |= {re.sub(r'\s+', ' ', line.partition(' #')[0]).strip() for line in lines}
    return sorted(line for line in commands if '...' not in line)


class _ParsedError(Exception):
    """Ends a tool as soon as it knows what is asked for."""


@pytest.mark.parametrize('command', _commands())
def test_it_is_understood(command, monkeypatch):
    words = shlex.split(command)
    if words[0] == '-m':
        words = [f'{words[1].replace(".", "/")}.py', *words[2:]]
    if words[0].startswith('tools/dist_'):  # config, checkpoint, number of processes
        words = [words[0].replace('dist_', '').replace('.sh', '.py'), *words[1:]]
        words.remove('8') if '8' in words else words.remove('2')
    parse = argparse.ArgumentParser.parse_args

    def parse_only(parser, *args):
        raise _ParsedError(parse(parser, *args))

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse_only)
    with pytest.raises(_ParsedError) as parsed:
        done = run_here(*words)
        pytest.fail(done.stderr)
    asked = parsed.value.args[0]
    config = getattr(asked, 'config', None)
    if config and Path(config).suffix == '.py':
        load_config(ROOT / config, getattr(asked, 'cfg_options', None))
