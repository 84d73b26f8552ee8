"""Contract: the resolved config is the run; nothing else changes one; models fit or are refused."""

import csv
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from PIL import Image
from safetensors.torch import load_file

from mvlt.checkpoints.folder import read_model_folder, write_model_folder
from mvlt.config import load_config
from mvlt.datasets import CaptionTokenizer
from mvlt.engine import resolve
from mvlt.engine.launch import build_runner
from mvlt.registry import DATASETS
from tests.commands import run_here

ROOT = Path(__file__).parents[2]
TINY = {
    'model.backbone.embed_dims': (8, 16, 24, 32),
    'model.backbone.num_heads': (1, 1, 1, 1),
    'model.backbone.depths': (1, 1, 1, 1),
    'model.backbone.image_size': 32,
    'model.backbone.vocab_size': 200,
    'default_hooks.tokenizer.train_size': 200,
    'train_dataloader.batch_size': 4,
    'train_cfg.max_iters': 5,
    'param_scheduler.warmup.end': 2,
    'param_scheduler.decay.begin': 2,
    'default_hooks.checkpoint.interval': 5,
    'default_hooks.logger.interval': 1,
    'train_dataloader.dataset.pipeline.resize.scale': (32, 32),
    'test_dataloader.dataset.pipeline.resize.scale': (32, 32),
    'load_from': None,
}
HEADS = ('main_category', 'sub_category')


@pytest.fixture
def shop(tmp_path):
    """36 products of three kinds under the packaged configs' column names, and a second table."""
    root = tmp_path / 'shop'
    (root / 'images').mkdir(parents=True)
    rows = []
    for i in range(36):
        noise = np.random.default_rng(i).integers(0, 255, (32, 32, 3), np.uint8)
        Image.fromarray(noise).save(root / f'images/{i}.png')
        kind = ('Shoes', 'Hats', 'Bags')[i % 3]
        rows.append(
            dict(
                id=str(i + 2),
                image=f'images/{i}.png',
                productDisplayName=f'thing {i} of {kind}',
                subCategory=kind,
                articleType=f'{kind} {i % 2}',
                baseColour=('red', 'blue')[i % 2],
            )
        )
    _write(root, rows)
    return root


def _write(root, rows):
    with open(root / 'products.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _rows(root):
    with open(root / 'products.csv', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def _recipe(root, options=None, name='mvlt/recognition_catalogue'):
    return load_config(name, {**TINY, **(options or {})}, str(root))


def _options(options):
    return [f'{key}={value}' for key, value in options.items()]


def _train(config, work_dir, *more, options=None):
    done = run_here(
        *('tools/train.py', config, '--work-dir', work_dir, *more),
        *(['--cfg-options', *_options(options)] if options else []),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def _losses(work_dir):
    lines = [
        json.loads(line)
        for file in sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
        for line in file.read_text().splitlines()
    ]
    return [line['loss'] for line in lines if 'loss' in line]


def test_what_only_the_data_know_is_written_in_and_said(shop):
    """The file beside the table goes before the config; where the config is the run, both agree."""
    said = dict(caption='{baseColour} {articleType}', attributes=dict(tint='baseColour'))
    (shop / 'products.json').write_text(json.dumps(said))
    read = _recipe(shop)
    config = resolve(read)
    train, test = config.train_dataloader.dataset, config.test_dataloader.dataset
    for dataset in (train, test):
        assert dataset.caption == '{baseColour} {articleType}'
        assert dataset.attributes == dict(tint='baseColour')
        assert dataset.classes.main_category == ['Bags', 'Hats', 'Shoes']
        assert dataset.classes.tint == ['blue', 'red']
    assert config.model.heads.main_category.num_classes == 3
    (line,) = (line for line in config.resolved if line.startswith('data: caption'))
    assert 'products.json' in line and '{baseColour} {articleType}' in line
    assert read.train_dataloader.dataset.caption == '{productDisplayName}'  # as it was read
    again = resolve(config)
    assert again.to_dict() == config.to_dict()  # nothing is left to be said


def test_a_dump_reruns_the_run_whatever_became_of_file_and_table(shop, tmp_path):
    """Five steps; then products.json says something else and the table is turned upside down."""
    (shop / 'products.json').write_text('{"caption": "{baseColour} {articleType}"}')
    _train('configs/mvlt/recognition_catalogue.py', tmp_path / 'a', '--data-root', shop,
           options=TINY)  # fmt: skip
    (dump,) = (tmp_path / 'a').glob('*.py')
    assert "'caption': '{baseColour} {articleType}'" in dump.read_text()
    stored = torch.load(tmp_path / 'a/iter_5.pth', weights_only=False)['meta']['cfg']
    assert '{baseColour} {articleType}' in stored and 'products.json' in stored
    (shop / 'products.json').write_text('{"caption": "{productDisplayName}"}')
    _write(shop, _rows(shop)[::-1])
    _train(dump, tmp_path / 'b')
    first, second = _losses(tmp_path / 'a'), _losses(tmp_path / 'b')
    assert len(first) == 5 and first == second


def test_a_read_only_folder_serves_everything(shop, tmp_path):
    """Nothing is written into the data, the tokenizer least of all."""
    before = sorted(path.name for path in shop.iterdir())
    config = resolve(_recipe(shop), work_dir=str(tmp_path / 'work'))
    tokenizer = config.train_dataloader.dataset.pipeline.tokenize.tokenizer
    assert tokenizer == str(tmp_path / 'work/tokenizer')
    runner = build_runner(config)
    runner.train()
    assert sorted(path.name for path in shop.iterdir()) == before
    test = build_runner(_recipe(shop), 'test', str(tmp_path / 'work/iter_5.pth'),
                        work_dir=str(tmp_path / 'test'))  # fmt: skip
    assert test.test()['main_category/samples'] == len(test.test_dataloader.dataset)


def _figures(config, model, root, work_dir, *options):
    done = run_here(
        *('tools/test.py', config, model, '--data-root', root, '--work-dir', work_dir),
        *(['--cfg-options', *options] if options else []),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((work_dir / 'results.json').read_text())


def test_a_row_more_does_not_change_the_figures_of_a_checkpoint(shop, tmp_path):
    """A new kind on top of the table: classes have names, so the heads mean what they meant.

    By recipe and by protocol, a checkpoint and a folder.
    """
    recipe = 'configs/mvlt/recognition_catalogue.py'
    _train(recipe, tmp_path / 'a', '--data-root', shop, options=TINY)
    checkpoint, folder = tmp_path / 'a/iter_5.pth', tmp_path / 'folder'
    done = run_here('tools/model_converters/publish.py', checkpoint, folder)
    assert done.returncode == 0, done.stderr
    protocol = 'configs/mvlt/recognition_eval_catalogue.py'
    asked = [(recipe, checkpoint), (protocol, checkpoint), (protocol, folder), (recipe, folder)]
    sizes = [one for one in _options(TINY) if one.startswith(('model.', 'test_'))]
    before = [
        _figures(config, model, shop, tmp_path / f'b{i}', *(sizes if config == recipe else ()))
        for i, (config, model) in enumerate(asked)
    ]
    rows = _rows(shop)
    train_id = next(str(i) for i in range(900, 990) if _share(str(i)) < 0.8)
    apron = rows[0] | dict(id=train_id, subCategory='Aprons', articleType='Apron')
    _write(shop, [apron, *rows])
    shutil.rmtree(shop / 'tokenizer', ignore_errors=True)
    for i, (config, model) in enumerate(asked):
        after = _figures(config, model, shop, tmp_path / f'c{i}',
                         *(sizes if config == recipe else ()))  # fmt: skip
        assert after['metrics'] == before[i]['metrics'] == before[0]['metrics'], asked[i]
        assert after['model']['heads'] == list(HEADS)
    assert after['data']['caption'] == '{productDisplayName}'
    assert any('tokenizer' in line for line in after['resolved'])


def _share(product_id):
    from mvlt.datasets.pair_dataset import product_share

    return product_share(product_id, 0)


def test_from_moves_rows_by_name_and_resume_refuses_new_classes(shop, tmp_path):
    recipe = 'configs/mvlt/recognition_catalogue.py'
    _train(recipe, tmp_path / 'a', '--data-root', shop, options=TINY)
    checkpoint = tmp_path / 'a/iter_5.pth'
    rows = _rows(shop)
    ids = [str(i) for i in range(900, 990) if _share(str(i)) < 0.8][:2]
    aprons = [rows[0] | dict(id=i, subCategory='Aprons', articleType='A') for i in ids]
    _write(shop, [*aprons, *rows])
    options = {**TINY, 'optim_wrapper.optimizer.lr': 0.0}
    said = _train(
        recipe, tmp_path / 'b', '--data-root', shop, '--from', checkpoint, options=options
    )
    line = 'heads.main_category: 3 classes matched by name; new, at random: Aprons; left out: none'
    assert line in said
    old, new = (
        torch.load(path, weights_only=False)['state_dict']
        for path in (checkpoint, tmp_path / 'b/iter_5.pth')
    )
    name = 'heads.main_category.classifier.weight'  # Aprons, Bags, Hats, Shoes
    torch.testing.assert_close(new[name][1:], old[name])
    done = run_here(
        *('tools/train.py', recipe, '--work-dir', tmp_path / 'a', '--data-root', shop, '--resume'),
        *('--cfg-options', *_options({**TINY, 'train_cfg.max_iters': 6})),
    )
    assert done.returncode == 2
    assert 'does not know the main_category Aprons' in done.stderr and '--from' in done.stderr


def test_resume_goes_on_with_what_the_training_began_with(shop, tmp_path):
    """Another caption in the file, the table turned: the same steps as uninterrupted."""
    recipe = 'configs/mvlt/recognition_catalogue.py'
    whole = {**TINY, 'train_cfg.max_iters': 6, 'default_hooks.checkpoint.interval': 3}
    _train(recipe, tmp_path / 'a', '--data-root', shop, options=whole)
    shutil.copytree(tmp_path / 'a', tmp_path / 'b')
    (tmp_path / 'b/iter_6.pth').unlink()
    (shop / 'products.json').write_text('{"caption": "{baseColour}"}')
    _write(shop, _rows(shop)[::-1])
    _train(recipe, tmp_path / 'b', '--data-root', shop, '--resume', tmp_path / 'b/iter_3.pth',
           options=whole)  # fmt: skip
    first, second = (
        torch.load(tmp_path / f'{one}/iter_6.pth', weights_only=False)['state_dict'] for one in 'ab'
    )
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_protocol_takes_the_model_that_is_named(embedding_folder, demo_data):
    """Its network, its reading, its tokenizer; data and counting are the protocol's."""
    read = load_config('demo/retrieval_demo', data_root=str(demo_data))
    config = resolve(read, 'test', str(embedding_folder))
    folder = read_model_folder(embedding_folder)
    assert config.model.backbone.type == folder.description.model['backbone']['type']
    assert set(config.model.heads) == {'itc', 'itm'} and config.model.neck is None
    pipeline = config.test_dataloader.dataset.pipeline
    assert list(pipeline.resize.scale) == [32, 32]
    assert pipeline.tokenize.tokenizer == str(embedding_folder)
    assert config.load_from == folder.weights
    with pytest.raises(ValueError, match='is a protocol, it has no model to train; take a recipe'):
        resolve(read)
    with pytest.raises(ValueError, match='it has no model: name a model folder or a checkpoint'):
        resolve(read, 'test')


def test_the_models_reading_takes_the_place_of_the_configs(model_folder, demo_data):
    """A protocol that crops to the product does not do so to pictures of a model that does not."""
    options = {'model': None, 'test_dataloader.dataset.pipeline.mask': None}
    read = load_config('mvlt/retrieval_fashiongen_released', options, str(demo_data))
    assert read.test_dataloader.dataset.pipeline.crop is not None
    for name in ('train', 'validation'):
        link = demo_data / f'fashiongen_256_256_{name}.h5'
        if not link.exists():
            link.symlink_to(demo_data / f'fashiongen_64_64_{name}.h5')
    pipeline = resolve(read, 'test', str(model_folder)).test_dataloader.dataset.pipeline
    assert [name for name, step in pipeline.items() if step] == [
        *('load', 'resize', 'tokenize', 'pack'),
    ]


def test_weights_without_a_config_need_their_recipe(model_folder, demo_data, tmp_path):
    weights = str(shutil.copy(model_folder / 'model.safetensors', tmp_path / 'a.safetensors'))
    read = load_config('demo/retrieval_demo', data_root=str(demo_data))
    with pytest.raises(ValueError, match='does not hold its config; a protocol tests a published'):
        resolve(read, 'test', weights)
    with pytest.raises(FileNotFoundError, match='no such checkpoint or model folder'):
        resolve(read, 'test', str(tmp_path / 'none.pth'))


def test_a_head_that_the_model_lacks(model_folder, demo_data, tmp_path):
    folder = read_model_folder(model_folder)
    model = {**folder.description.model, 'neck': None}
    model['heads'] = {k: v for k, v in model['heads'].items() if k != 'mir'}
    bare = folder.description._replace(model=model, mask=None)
    out = write_model_folder(tmp_path / 'out', bare, load_file(folder.weights),
                             str(model_folder), '')  # fmt: skip
    read = load_config('demo/generation_demo', data_root=str(demo_data))
    with pytest.raises(ValueError, match=r'this model has no head mir; it has itm, mlm, main_cat'):
        resolve(read, 'test', str(out))


def test_a_recipe_refuses_another_network(shop, tmp_path):
    """Heads of attention have no shape, so the weights would load."""
    config = _recipe(shop, name='mvlt/recognition_catalogue')
    runner = build_runner(config, work_dir=str(tmp_path / 'a'))
    runner.train()
    checkpoint = str(tmp_path / 'a/iter_5.pth')
    other = _recipe(shop, {'model.backbone.num_heads': (1, 2, 1, 1)})
    for task in ('test', 'train'):
        with pytest.raises(ValueError, match=r'is not of .*num_heads is \[1, 2, 1, 1\] here'):
            resolve(other, task, checkpoint)
    larger = _recipe(shop, {'model.backbone.image_size': 64})
    assert resolve(larger, 'test', checkpoint)  # positions are resized
    cropped = {'test_dataloader.dataset.pipeline.resize.keep_ratio': True}
    (line,) = (one for one in resolve(_recipe(shop, cropped), 'test', checkpoint).resolved
               if 'pictures are read as the recipe says' in one)  # fmt: skip
    assert "'keep_ratio': True" in line
    sizes = {key: value for key, value in TINY.items() if not key.startswith('model.')}
    read = load_config('mvlt/recognition_catalogue', {**sizes, 'model': None}, str(shop))
    as_it_is = resolve(read, 'test', checkpoint)
    assert as_it_is.model.backbone.num_heads == [1, 1, 1, 1]


def test_a_split_column_is_the_tables_own(shop):
    """The case given_split: the packaged configs do not name the column."""
    rows = [
        row | dict(split='test' if i % 6 == 0 else 'val' if i % 6 == 1 else 'train')
        for i, row in enumerate(_rows(shop))
    ]
    _write(shop, rows)
    config = resolve(_recipe(shop))
    counts = []
    for split in ('train', 'val', 'test'):
        settings = dict(config.train_dataloader.dataset, split=split, pipeline=[])
        dataset = DATASETS.build(settings)
        counts.append(len(dataset))
        ids = {dataset.get_data_info(i)['product_id'] for i in range(len(dataset))}
        assert ids == {row['id'] for row in rows if row['split'] == split}
    assert counts == [24, 6, 6]
    assert any("the table's own 'split'" in line for line in config.resolved)


def test_every_vocabulary_is_the_models(shop, model_folder, tmp_path):
    """A folder that training starts from brings its words; all loaders read by them."""
    description = read_model_folder(model_folder).description
    parts = ('backbone', 'neck', 'data_preprocessor')
    same = {f'model.{part}': dict(description.model[part], _delete_=True) for part in parts}
    heads = {'model.heads.itm.hidden_dims': 16}
    others = {key: value for key, value in TINY.items() if not key.startswith('model.')}
    options = {k: v for k, v in others.items() if 'dataset.pipeline' not in k}
    read = load_config('mvlt/pretrain_catalogue', {**options, **same, **heads}, str(shop))
    config = resolve(read, 'train', str(model_folder))
    for settings in (
        config.train_dataloader.dataset.dataset,
        config.val_dataloader.dataset,
        config.test_dataloader.dataset,
    ):
        assert settings.pipeline.tokenize.tokenizer == str(model_folder)
    assert CaptionTokenizer(str(model_folder)).fingerprint
    assert config.load_from == str(model_folder / 'model.safetensors') and not config.resume


def test_schedulers_end_with_the_training_and_those_that_never_act_are_left_out(tmp_path):
    def schedulers(name, options):
        return resolve(load_config(name, options), 'data').param_scheduler

    name = 'configs/demo/pretrain_demo.py'
    steps = schedulers(name, {'train_cfg.max_iters': 50})
    assert [one.type.rpartition('.')[2] for one in steps] == ['LinearLR']  # decay begins at 100
    load_config(name).dump(tmp_path / 'dump.py')
    assert schedulers(tmp_path / 'dump.py', {'train_cfg.max_iters': 50}) == steps
    path = 'configs/mvlt/pretrain_fashiongen.py'
    by_steps = {'param_scheduler.decay.by_epoch': False, 'param_scheduler.decay.begin': 500}
    assert len(schedulers(path, by_steps)) == 2  # of 150 epochs
    assert len(schedulers(path, {'param_scheduler.decay': None})) == 1


def test_without_val_cfg_nothing_is_validated_and_a_hook_that_is_none_goes():
    options = {'val_cfg': None, 'default_hooks.results': None}
    config = resolve(load_config('demo/pretrain_demo', options), 'data')
    assert config.val_dataloader is None and config.val_evaluator is None
    assert 'results' not in config.default_hooks


def test_many_rows_are_no_matter_to_reading_a_config(tmp_path):
    """Half a million: the file is not opened."""
    with open(tmp_path / 'products.csv', 'w') as file:
        file.write('id,image,productDisplayName\n' + '1,a.jpg,x\n' * 10)
    opened = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)
    load_config('mvlt/recognition_catalogue', data_root=str(tmp_path))
    assert not any('products.csv' in path for path in opened)


def test_no_other_code_assigns_into_a_config(shop, tmp_path, monkeypatch):
    """Traced through a training and two tests: every write is engine/resolve's, or mmengine's."""
    seen = set()

    def watched(kind, name):
        original = getattr(kind, name)

        def write(self, *args, **kwargs):
            frame, making = sys._getframe(1), False
            while any(one in frame.f_code.co_filename for one in ('/mmengine/config/', 'addict')):
                making |= frame.f_code.co_name in ('__init__', '__deepcopy__', '__copy__')
                frame = frame.f_back
            if not making:  # a config of its own
                seen.add(frame.f_code.co_filename)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(kind, name, write)

    recipe, protocol = _recipe(shop), load_config('mvlt/recognition_eval_catalogue',
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
    """What a trace does not come by: attributes of what is called a config."""
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


def _swapped(shop, tmp_path):
    """The same products, one kind under another name: its number by name is another one."""
    other = tmp_path / 'other'
    shutil.copytree(shop, other)
    _write(other, [row | dict(subCategory=row['subCategory'].replace('Bags', 'Zaino'))
                   for row in _rows(shop)])  # fmt: skip
    return other


def test_the_dump_of_a_test_is_asked_of_another_checkpoint(shop, tmp_path):
    """Classes are the checkpoint's, not the dump's; the same the other way round."""
    other = _swapped(shop, tmp_path)
    ways = {}
    for name, root in (('a', shop), ('c', other)):
        build_runner(_recipe(root), work_dir=str(tmp_path / name)).train()
        ways[name] = str(tmp_path / name / 'iter_5.pth')
    (dump,) = (tmp_path / 'a').glob('*.py')
    config = resolve(load_config(dump, data_root=str(other)), 'test', ways['c'])
    assert config.test_dataloader.dataset.classes.main_category == ['Hats', 'Shoes', 'Zaino']
    read = load_config('mvlt/recognition_eval_catalogue', data_root=str(shop))
    resolve(read, 'test', ways['a']).dump(tmp_path / 'protocol.py')
    again = resolve(load_config(tmp_path / 'protocol.py', data_root=str(other)), 'test', ways['c'])
    assert again.test_dataloader.dataset.classes.main_category == ['Hats', 'Shoes', 'Zaino']
    assert not any(ways['a'] in line for line in again.resolved)
    with pytest.raises(ValueError, match='does not know the main_category Zaino'):
        resolve(load_config(tmp_path / 'c/recognition_catalogue.py'), resume=ways['a'])


def test_a_start_without_names_is_said_and_forgets_those_of_another(shop, tmp_path):
    build_runner(_recipe(shop), work_dir=str(tmp_path / 'a')).train()
    checkpoint = str(tmp_path / 'a/iter_5.pth')
    state = torch.load(checkpoint, weights_only=False)['state_dict']
    torch.save(dict(state_dict=state), tmp_path / 'bare.pth')
    first = resolve(_recipe(shop), 'train', checkpoint)
    assert first.default_hooks.load_report.classes.main_category == ['Bags', 'Hats', 'Shoes']
    for task in ('train', 'test'):
        found = resolve(first, task, str(tmp_path / 'bare.pth'))
        assert 'classes' not in found.default_hooks.load_report or task == 'test'
        (line,) = (one for one in found.resolved if one.startswith('classes: '))
        assert 'bare.pth does not name those of main_category, sub_category' in line


def test_a_recipe_compares_what_its_heads_read(shop, tmp_path):
    """Other features give other answers by the same weights."""
    build_runner(_recipe(shop), work_dir=str(tmp_path / 'a')).train()
    other = _recipe(shop, {'model.heads.main_category.reads': 'image'})
    checkpoint = str(tmp_path / 'a/iter_5.pth')
    with pytest.raises(ValueError, match='main_category.reads is image here, pair there'):
        resolve(other, 'test', checkpoint)
    assert resolve(other, 'train', checkpoint).load_from == checkpoint  # to be learnt anew


def test_no_weights_at_all(shop, tmp_path):
    done = run_here('tools/test.py', 'configs/mvlt/recognition_catalogue.py', 'none',
                    '--data-root', shop, '--work-dir', tmp_path)  # fmt: skip
    assert done.returncode == 2 and 'would be random; name a checkpoint' in done.stderr


def test_towers_are_ranked_by_their_embeddings_and_it_is_said(
    embedding_folder, demo_data, tmp_path
):
    folder = read_model_folder(embedding_folder)
    description = folder.description
    model = {**description.model, 'neck': None, 'heads': {'itc': description.heads['itc']}}
    bare = description._replace(model=model, mask=None, categories={})
    out = write_model_folder(tmp_path / 'out', bare, load_file(folder.weights),
                             str(embedding_folder), '')  # fmt: skip
    config = resolve(load_config('demo/retrieval_demo', data_root=str(demo_data)), 'test', str(out))
    assert config.test_cfg.rerank is None
    assert any('has no matching head' in line for line in config.resolved)
    both = resolve(load_config('demo/retrieval_demo', data_root=str(demo_data)), 'test',
                   str(embedding_folder))  # fmt: skip
    assert both.test_cfg.rerank == 'itm'


def test_a_caption_that_the_training_did_not_have_is_said(shop, tmp_path):
    (shop / 'products.json').write_text('{"caption": "{baseColour} {articleType}"}')
    build_runner(_recipe(shop), work_dir=str(tmp_path / 'a')).train()
    (shop / 'products.json').unlink()
    read = load_config('mvlt/recognition_eval_catalogue', data_root=str(shop))
    config = resolve(read, 'test', str(tmp_path / 'a/iter_5.pth'))
    line = "trained on caption '{baseColour} {articleType}', tested on '{productDisplayName}'"
    assert line in config.resolved


def test_a_training_that_begins_makes_its_vocabulary_anew(shop, tmp_path):
    """Another table's, left in the work dir by an earlier run, is not taken for its own."""
    build_runner(_recipe(shop), work_dir=str(tmp_path / 'a')).train()
    before = CaptionTokenizer(str(tmp_path / 'a/tokenizer')).fingerprint
    _write(shop, [row | dict(productDisplayName=f'quite other words {row["id"]}')
                  for row in _rows(shop)])  # fmt: skip
    runner = build_runner(_recipe(shop), work_dir=str(tmp_path / 'a'))
    runner.train()
    assert CaptionTokenizer(str(tmp_path / 'a/tokenizer')).fingerprint != before
    resumed = resolve(_recipe(shop), resume=str(tmp_path / 'a/iter_5.pth'),
                      work_dir=str(tmp_path / 'a'))  # fmt: skip
    assert not resumed.default_hooks.tokenizer.anew


def test_towers_start_from_a_folder_and_a_queue_is_no_hindrance(shop, tmp_path):
    """With the moving average of the weights; a protocol has no use for the queue."""
    options = {key: value for key, value in TINY.items() if 'resize' not in key}
    options |= {
        'model.heads.itc.queue': 8,
        'model.heads.itc.dims': 8,
        'model.heads.prompts': None,
        'model.data_preprocessor.mixup': 0.0,
        'train_dataloader.dataset.pipeline.crop.scale': 32,
        'train_dataloader.dataset.pipeline.resize.scale': (32, 32),
        'test_dataloader.dataset.pipeline.resize.scale': (32, 32),
        'default_hooks.prompts': None,
        'val_cfg': None,
    }
    read = load_config('mvlt/dual_encoder_catalogue', options, str(shop))
    read.default_hooks.momentum = dict(type='MomentumHook')
    build_runner(read, work_dir=str(tmp_path / 'a')).train()
    checkpoint = tmp_path / 'a/iter_5.pth'
    done = run_here('tools/model_converters/publish.py', checkpoint, tmp_path / 'folder')
    assert done.returncode == 0, done.stderr
    protocol = load_config('mvlt/retrieval_full_catalogue', data_root=str(shop))
    for model in (checkpoint, tmp_path / 'folder'):
        runner = build_runner(protocol, 'test', str(model), work_dir=str(tmp_path / 'test'))
        assert runner.test()['retrieval/tir/queries'] > 0
    without = {key: value for key, value in options.items() if key != 'model.heads.itc.queue'}
    read = load_config('mvlt/dual_encoder_catalogue', without, str(shop))
    for i, model in enumerate((checkpoint, tmp_path / 'folder')):
        build_runner(read, 'train', str(model), work_dir=str(tmp_path / f'b{i}')).train()
    few = {'test_cfg.num_candidates': 2, 'test_cfg.num_queries': 2, **without}
    few['test_dataloader.dataset.split'] = 'all'
    read = load_config('mvlt/dual_encoder_catalogue', few, str(shop))
    tested = build_runner(read, 'test', str(tmp_path / 'folder'), work_dir=str(tmp_path / 'c'))
    assert {'main_category', 'sub_category', 'itc'} <= {*tested.model.heads}
    assert tested.test()['retrieval/tir/queries'] == 2
