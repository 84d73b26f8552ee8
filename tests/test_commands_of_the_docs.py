"""Contract: tools and configs accept the commands of README, site and projects.

Each command is parsed by its tool and its config is read with its options; none is run.
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
    """Commands of tools and projects, indented or in backticks, without comments."""
    commands = set()
    for page in PAGES:
        text = page.read_text(encoding='utf-8').replace('\\\n', ' ')
        lines = re.findall(r'^    (?:python )?((?:tools/|-m projects\.).*)', text, re.MULTILINE)
        lines += re.findall(r'`(?:python )?((?:tools/|-m projects\.)[^`]* [^`]*)`', text)
        commands |= {re.sub(r'\s+', ' ', line.partition(' #')[0]).strip() for line in lines}
    return sorted(line for line in commands if '...' not in line)


class _ParsedError(Exception):
    """Ends a tool once its command is parsed."""


@pytest.mark.parametrize('command', _commands())
def test_the_command_is_parsed(command, monkeypatch):
    arguments = shlex.split(command)
    if arguments[0] == '-m':
        arguments = [f'{arguments[1].replace(".", "/")}.py', *arguments[2:]]
    if arguments[0].startswith('tools/dist_'):  # config, checkpoint, number of processes
        arguments = [arguments[0].replace('dist_', '').replace('.sh', '.py'), *arguments[1:]]
        arguments.remove('8') if '8' in arguments else arguments.remove('2')
    parse = argparse.ArgumentParser.parse_args

    def parse_only(parser, *args):
        raise _ParsedError(parse(parser, *args))

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse_only)
    with pytest.raises(_ParsedError) as parsed:
        done = run_here(*arguments)
        pytest.fail(done.stderr)
    parsed_args = parsed.value.args[0]
    config = getattr(parsed_args, 'config', None)
    if config and Path(config).suffix == '.py':
        load_config(ROOT / config, getattr(parsed_args, 'cfg_options', None))
