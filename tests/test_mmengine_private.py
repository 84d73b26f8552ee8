"""Contract: mmengine's private names stand in one file, and the installed mmengine has them."""

import inspect
import re
from pathlib import Path

import mmengine
from mmengine._strategy import DDPStrategy
from mmengine.config import config as reading
from mmengine.dataset import BaseDataset
from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapper
from mmengine.runner import CheckpointLoader, EpochBasedTrainLoop, IterBasedTrainLoop, Runner

ROOT = Path(__file__).parent.parent
USED = {
    Runner: '_resume _load_from _train_loop _val_loop _test_loop _maybe_compile',
    IterBasedTrainLoop: '_iter',
    EpochBasedTrainLoop: '_iter _epoch',
    OptimWrapper: '_accumulative_counts _inner_count',
    DDPStrategy: '_wrap_model',
    CheckpointHook: '_save_checkpoint_with_step _save_best_checkpoint',
    BaseDataset: '_serialize_data _metainfo',
    CheckpointLoader: '_schemes',
}
OTHERS = re.compile(
    r'\b(?:runner|\w*loop|\w*wrapper|config|cfg|hook|strategy|CheckpointLoader)\._[a-z]\w*'
    r'|\bmmengine(?:\.\w+)*\._[a-z]|parse_losses ='
)


def test_each_is_there():
    for owner, names in USED.items():
        source = inspect.getsource(owner)
        for name in names.split():
            assert re.search(rf'\b{name}\b', source), f'{owner.__name__}.{name}'
    assert callable(reading.get_installed_path)
    version = re.search(r'mmengine ([\d.]+)', (ROOT / 'mvlt/mmengine_private.py').read_text())
    assert mmengine.__version__.startswith(version[1].rpartition('.')[0])


def test_no_other_module_names_one():
    for path in (ROOT / 'mvlt').rglob('*.py'):
        if path.name == 'mmengine_private.py' or path.is_relative_to(ROOT / 'mvlt/apis'):
            continue
        for number, line in enumerate(path.read_text('utf-8').splitlines(), 1):
            assert not OTHERS.search(line), f'{path}:{number}: {line.strip()}'
