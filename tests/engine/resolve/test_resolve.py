"""Contract: the resolved config is the run; nothing else changes a config."""

import re
import shutil
import sys
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict

from mvlt.config import load_config
from mvlt.engine.launch import build_runner
from tests.commands import ROOT
from tests.engine.resolve.shop_table import (
    TINY,
    read_losses,
    read_table,
    small_recipe,
    train,
    write_table,
)


def test_a_dump_reruns_the_run(shop, tmp_path):
    """After five steps products.json changes and the table is reversed."""
    (shop / 'products.json').write_text('{"caption": "{baseColour} {articleType}"}')
    train('configs/mvlt/recognition_catalogue.py', tmp_path / 'a', '--data-root', shop,
           options=TINY)  # fmt: skip
    (dump,) = (tmp_path / 'a').glob('*.py')
    assert "'caption': '{baseColour} {articleType}'" in dump.read_text()
    stored = torch.load(tmp_path / 'a/iter_5.pth', weights_only=False)['meta']['cfg']
    assert '{baseColour} {articleType}' in stored and 'products.json' in stored
    (shop / 'products.json').write_text('{"caption": "{productDisplayName}"}')
    write_table(shop, read_table(shop)[::-1])
    train(dump, tmp_path / 'b')
    first, second = read_losses(tmp_path / 'a'), read_losses(tmp_path / 'b')
    assert len(first) == 5 and first == second


def test_resume_keeps_caption_and_columns(shop, tmp_path):
    """With another caption in products.json and a reversed table, the steps stay the same."""
    recipe = 'configs/mvlt/recognition_catalogue.py'
    whole = {**TINY, 'train_cfg.max_iters': 6, 'default_hooks.checkpoint.interval': 3}
    train(recipe, tmp_path / 'a', '--data-root', shop, options=whole)
    shutil.copytree(tmp_path / 'a', tmp_path / 'b')
    (tmp_path / 'b/iter_6.pth').unlink()
    (shop / 'products.json').write_text('{"caption": "{baseColour}"}')
    write_table(shop, read_table(shop)[::-1])
    train(recipe, tmp_path / 'b', '--data-root', shop, '--resume', tmp_path / 'b/iter_3.pth',
           options=whole)  # fmt: skip
    first, second = (
        torch.load(tmp_path / f'{name}/iter_6.pth', weights_only=False)['state_dict']
        for name in 'ab'
    )
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_no_other_code_assigns_into_a_config(shop, tmp_path, monkeypatch):
    """In a training and two tests, all writes are engine/resolve's or mmengine's."""
    seen = set()

    def watched(kind, name):
        original = getattr(kind, name)

        def write(self, *args, **kwargs):
            frame, making = sys._getframe(1), False
            while any(part in frame.f_code.co_filename for part in ('/mmengine/config/', 'addict')):
                making |= frame.f_code.co_name in ('__init__', '__deepcopy__', '__copy__')
                frame = frame.f_back
            if not making:  # a config of its own
                seen.add(frame.f_code.co_filename)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(kind, name, write)

    recipe, protocol = small_recipe(shop), load_config('mvlt/recognition_eval_catalogue',
                                                  data_root=str(shop))  # fmt: skip
    for kind, names in (
        (ConfigDict, ('__setitem__', '__setattr__', 'update', 'pop', 'setdefault', '__delitem__')),
        (Config, ('__setitem__', '__setattr__', 'merge_from_dict')),
    ):
        for name in names:
            watched(kind, name)
    build_runner(recipe, work_dir=str(tmp_path / 'a')).train()
    checkpoint = str(tmp_path / 'a/iter_5.pth')
    for i, config in enumerate((recipe, protocol)):
        build_runner(config, 'test', checkpoint, work_dir=str(tmp_path / f't{i}')).test()
    ours = {path for path in seen if '/mvlt/' in path and 'site-packages' not in path}
    assert {Path(path).parent.name for path in ours} == {'resolve'}


def test_no_line_of_ours_assigns_into_a_config():
    """The trace misses attributes of configs."""
    assigns = re.compile(
        r'^\s*(?:\w+\.)*(?:config|cfg)(?:\.\w+|\[[^\]]+\])+(?:, [\w.]+)* (?:=|\|=) '
        r'|\b(?:config|cfg)(?:\.\w+)*\.(?:update|merge|merge_from_dict|pop|setdefault)\('
    )
    allowed = ('mvlt/engine/resolve/', 'mvlt/config.py')  # the latter merges what is read
    for folder in ('mvlt', 'tools', 'projects'):
        for path in (ROOT / folder).rglob('*.py'):
            name = str(path.relative_to(ROOT))
            if 'test_' in path.name or path.name == 'conftest.py' or '/configs/' in name:
                continue
            if name.startswith(allowed):
                continue
            for number, line in enumerate(path.read_text('utf-8').splitlines(), 1):
                assert not assigns.search(line), f'{name}:{number}: {line.strip()}'
