"""Contract: importing changes nothing outside the package, and layers import downwards only."""

import ast
import json
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / 'mvlt'
# a layer may import the layers before it, and itself without circles
LAYERS = (
    ('registry', 'structures', 'randomness', 'files', 'deadline', 'mmengine_private', 'tools'),
    ('config_files', 'config'),
    ('datasets',),
    ('models',),
    ('checkpoints',),
    ('evaluation',),
    ('retrieval',),
    ('visualization',),
    ('engine',),
    ('apis',),
)
STATE = """
import json, os, random, warnings
import mmengine, mmengine.runner, mmcv, torch
from mmengine.fileio.backends.registry_utils import backends, prefix_to_backends
from mmengine.runner import CheckpointLoader
from PIL import Image, ImageFile

def state():
    return dict(
        backends={k: repr(v) for k, v in backends.items()},
        prefixes={k: repr(v) for k, v in prefix_to_backends.items()},
        checkpoints={str(k): repr(v) for k, v in CheckpointLoader._schemes.items()},
        environment=dict(os.environ),
        pixels=Image.MAX_IMAGE_PIXELS,
        truncated=ImageFile.LOAD_TRUNCATED_IMAGES,
        threads=torch.get_num_threads(),
        random=[random.getstate()[1][:3], torch.initial_seed()],
        types=str(torch.get_default_dtype()),
        filters=[repr(f) for f in warnings.filters if 'mvlt' in repr(f)],
    )
"""


def _modules():
    names = []
    for path in sorted(PACKAGE.rglob('*.py')):
        parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
        names.append('.'.join(parts[:-1] if parts[-1] == '__init__' else parts))
    return names


def test_importing_every_module_changes_nothing_outside():
    # other libraries may change things when they are imported
    others = 'import pandas, pyarrow, h5py, transformers, torchmetrics, mmpretrain, rich, sklearn'
    code = f"""{STATE}
import importlib, mmpretrain.datasets, mmpretrain.models, transformers, torchmetrics.functional
{others}
before = state()
for name in {_modules()!r}:
    importlib.import_module(name)
after = state()
print(json.dumps({{k: [str(before[k]), str(after[k])] for k in before if before[k] != after[k]}}))
"""
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, timeout=280
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {}


def _imports(name):
    """Modules of mvlt that a module imports anywhere."""
    path = PACKAGE.parent / name.replace('.', '/')
    file = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
    modules = set()
    for node in ast.walk(ast.parse(file.read_text('utf-8'))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            home = node.module or ''
            if node.level:
                parts = name.split('.')
                parts = parts if path.is_dir() else parts[:-1]
                home = '.'.join([*parts[: len(parts) - node.level + 1], *filter(None, [home])])
            modules |= {home, *(f'{home}.{alias.name}' for alias in node.names)}
    return modules & set(MODULES) - {name}


MODULES = _modules()


def test_no_import_from_a_lower_to_a_higher_layer():
    layer = {name: number for number, names in enumerate(LAYERS) for name in names}
    for name in MODULES[1:]:  # mvlt itself names what the layers offer
        for other in _imports(name) - {'mvlt'}:
            importing, imported = name.split('.')[1], other.split('.')[1]
            assert layer[imported] <= layer[importing], f'{name} imports {other}'


def test_no_circle():
    """Without the __init__ of packages, which names what the modules define."""
    packages = {name for name in MODULES if (PACKAGE.parent / name.replace('.', '/')).is_dir()}
    graph = {name: _imports(name) - packages for name in MODULES if name not in packages}
    done = set()

    def visit(name, way):
        assert name not in way, ' -> '.join([*way, name])
        if name not in done:
            for other in graph[name]:
                visit(other, [*way, name])
            done.add(name)

    for name in graph:
        visit(name, [])


def test_a_tool_has_one_name():
    """``tools.x`` and ``mvlt.tools.x`` would be two modules of the same code."""
    root = PACKAGE.parent
    for folder in ('mvlt', 'tools', 'projects', 'tests'):
        for path in (root / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text('utf-8'))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ''] if isinstance(node, ast.ImportFrom) else []
                assert not any(name.split('.')[0] == 'tools' for name in names), path


def test_no_file_is_a_link():
    """A zip download and a Windows checkout have no links."""
    listed = subprocess.run(
        ['git', 'ls-files', '-s'], cwd=PACKAGE.parent, capture_output=True, text=True, check=False
    )
    assert not [line for line in listed.stdout.splitlines() if line.startswith('120000')]
