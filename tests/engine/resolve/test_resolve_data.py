"""Contract: the data decide captions and columns; classes are matched by name."""

import json
import shutil
import sys

import pytest
import torch

from mvlt.config import load_config
from mvlt.datasets import CaptionTokenizer
from mvlt.engine import resolve
from mvlt.engine.launch import build_runner
from mvlt.engine.resolve import datasets_of
from mvlt.registry import DATASETS
from tests.commands import run_here
from tests.engine.resolve.shop_table import (
    TINY,
    read_table,
    small_recipe,
    to_options,
    train,
    write_table,
)

HEADS = ('main_category', 'sub_category')


def test_what_the_data_decide_is_added_and_noted(shop):
    """products.json overrides the config; resolving the result again changes nothing."""
    described = dict(caption='{baseColour} {articleType}', attributes=dict(tint='baseColour'))
    (shop / 'products.json').write_text(json.dumps(described))
    read = small_recipe(shop)
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
    assert again.to_dict() == config.to_dict()


def test_nothing_is_written_into_the_data(shop, tmp_path):
    before = sorted(path.name for path in shop.iterdir())
    config = resolve(small_recipe(shop), work_dir=str(tmp_path / 'work'))
    tokenizer = config.train_dataloader.dataset.pipeline.tokenize.tokenizer
    assert tokenizer == str(tmp_path / 'work/tokenizer')
    runner = build_runner(config)
    runner.train()
    assert sorted(path.name for path in shop.iterdir()) == before
    test = build_runner(small_recipe(shop), 'test', str(tmp_path / 'work/iter_5.pth'),
                        work_dir=str(tmp_path / 'test'))  # fmt: skip
    assert test.test()['main_category/samples'] == len(test.test_dataloader.dataset)


def _figures(config, model, root, work_dir, *options):
    done = run_here(
        *('tools/test.py', config, model, '--data-root', root, '--work-dir', work_dir),
        *(['--cfg-options', *options] if options else []),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((work_dir / 'results.json').read_text())


def test_a_new_class_does_not_change_the_metrics_of_a_checkpoint(shop, tmp_path):
    """Heads find their classes by name: by recipe and protocol, of a checkpoint and a folder."""
    recipe = 'configs/mvlt/recognition_catalogue.py'
    train(recipe, tmp_path / 'a', '--data-root', shop, options=TINY)
    checkpoint, folder = tmp_path / 'a/iter_5.pth', tmp_path / 'folder'
    done = run_here('tools/model_converters/publish.py', checkpoint, folder)
    assert done.returncode == 0, done.stderr
    protocol = 'configs/mvlt/recognition_eval_catalogue.py'
    tests = [(recipe, checkpoint), (protocol, checkpoint), (protocol, folder), (recipe, folder)]
    sizes = [option for option in to_options(TINY) if option.startswith(('model.', 'test_'))]
    before = [
        _figures(config, model, shop, tmp_path / f'b{i}', *(sizes if config == recipe else ()))
        for i, (config, model) in enumerate(tests)
    ]
    rows = read_table(shop)
    train_id = next(str(i) for i in range(900, 990) if _share(str(i)) < 0.8)
    apron = rows[0] | dict(id=train_id, subCategory='Aprons', articleType='Apron')
    write_table(shop, [apron, *rows])
    shutil.rmtree(shop / 'tokenizer', ignore_errors=True)
    for i, (config, model) in enumerate(tests):
        after = _figures(config, model, shop, tmp_path / f'c{i}',
                         *(sizes if config == recipe else ()))  # fmt: skip
        assert after['metrics'] == before[i]['metrics'] == before[0]['metrics'], tests[i]
        assert after['model']['heads'] == list(HEADS)
    assert after['data']['caption'] == '{productDisplayName}'
    assert any('tokenizer' in line for line in after['resolved'])


def _share(product_id):
    from mvlt.datasets.pair_dataset import product_share

    return product_share(product_id, 0)


def test_from_moves_rows_by_name_and_resume_refuses_new_classes(shop, tmp_path):
    recipe = 'configs/mvlt/recognition_catalogue.py'
    train(recipe, tmp_path / 'a', '--data-root', shop, options=TINY)
    checkpoint = tmp_path / 'a/iter_5.pth'
    rows = read_table(shop)
    ids = [str(i) for i in range(900, 990) if _share(str(i)) < 0.8][:2]
    aprons = [rows[0] | dict(id=i, subCategory='Aprons', articleType='A') for i in ids]
    write_table(shop, [*aprons, *rows])
    options = {**TINY, 'optim_wrapper.optimizer.lr': 0.0}
    output = train(
        recipe, tmp_path / 'b', '--data-root', shop, '--from', checkpoint, options=options
    )
    line = 'heads.main_category: 3 classes matched by name; new, at random: Aprons; dropped: none'
    assert line in output
    old, new = (
        torch.load(path, weights_only=False)['state_dict']
        for path in (checkpoint, tmp_path / 'b/iter_5.pth')
    )
    name = 'heads.main_category.classifier.weight'  # Aprons, Bags, Hats, Shoes
    torch.testing.assert_close(new[name][1:], old[name])
    done = run_here(
        *('tools/train.py', recipe, '--work-dir', tmp_path / 'a', '--data-root', shop, '--resume'),
        *('--cfg-options', *to_options({**TINY, 'train_cfg.max_iters': 6})),
    )
    assert done.returncode == 2
    assert 'does not know the main_category Aprons' in done.stderr and '--from' in done.stderr


def test_a_split_column_is_used(shop):
    """The packaged configs do not name the column."""
    rows = [
        row | dict(split='test' if i % 6 == 0 else 'val' if i % 6 == 1 else 'train')
        for i, row in enumerate(read_table(shop))
    ]
    write_table(shop, rows)
    config = resolve(small_recipe(shop))
    counts = []
    for split in ('train', 'val', 'test'):
        settings = dict(config.train_dataloader.dataset, split=split, pipeline=[])
        dataset = DATASETS.build(settings)
        counts.append(len(dataset))
        ids = {dataset.get_data_info(i)['product_id'] for i in range(len(dataset))}
        assert ids == {row['id'] for row in rows if row['split'] == split}
    assert counts == [24, 6, 6]
    assert any("the table's own 'split'" in line for line in config.resolved)


def test_reading_a_config_does_not_open_the_table(tmp_path):
    with open(tmp_path / 'products.csv', 'w') as file:
        file.write('id,image,productDisplayName\n' + '1,a.jpg,x\n' * 10)
    opened = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)
    load_config('mvlt/recognition_catalogue', data_root=str(tmp_path))
    assert not any('products.csv' in path for path in opened)


def _swapped(shop, tmp_path):
    """The same products, a class renamed, so that its index changes."""
    other = tmp_path / 'other'
    shutil.copytree(shop, other)
    write_table(other, [row | dict(subCategory=row['subCategory'].replace('Bags', 'Zaino'))
                   for row in read_table(shop)])  # fmt: skip
    return other


def test_the_dump_of_a_test_with_another_checkpoint(shop, tmp_path):
    """Classes are the checkpoint's, not the dump's."""
    other = _swapped(shop, tmp_path)
    ways = {}
    for name, root in (('a', shop), ('c', other)):
        build_runner(small_recipe(root), work_dir=str(tmp_path / name)).train()
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


def test_a_checkpoint_without_class_names(shop, tmp_path):
    build_runner(small_recipe(shop), work_dir=str(tmp_path / 'a')).train()
    checkpoint = str(tmp_path / 'a/iter_5.pth')
    state = torch.load(checkpoint, weights_only=False)['state_dict']
    torch.save(dict(state_dict=state), tmp_path / 'bare.pth')
    first = resolve(small_recipe(shop), 'train', checkpoint)
    assert first.default_hooks.load_report.classes.main_category == ['Bags', 'Hats', 'Shoes']
    for task in ('train', 'test'):
        config = resolve(first, task, str(tmp_path / 'bare.pth'))
        assert 'classes' not in config.default_hooks.load_report or task == 'test'
        (line,) = (line for line in config.resolved if line.startswith('classes: '))
        assert 'bare.pth does not name those of main_category, sub_category' in line


def test_another_caption_than_in_training_is_noted(shop, tmp_path):
    (shop / 'products.json').write_text('{"caption": "{baseColour} {articleType}"}')
    build_runner(small_recipe(shop), work_dir=str(tmp_path / 'a')).train()
    (shop / 'products.json').unlink()
    read = load_config('mvlt/recognition_eval_catalogue', data_root=str(shop))
    config = resolve(read, 'test', str(tmp_path / 'a/iter_5.pth'))
    line = "trained on caption '{baseColour} {articleType}', tested on '{productDisplayName}'"
    assert line in config.resolved


def test_held_out_brands_are_written_into_the_config(shop, tmp_path):
    """A resumed training keeps its split; a test of another split is noted."""
    rows = read_table(shop)
    titles = [f'{"ABCDEFGHIJKL"[i % 12]}brand thing {i}' for i in range(36)]
    write_table(shop, [row | dict(productDisplayName=t) for row, t in zip(rows, titles)])
    build_runner(small_recipe(shop, {'split_by': 'brand'}), work_dir=str(tmp_path / 'a')).train()
    checkpoint = str(tmp_path / 'a/iter_5.pth')
    resumed = resolve(small_recipe(shop), resume=checkpoint)
    for _, dataset in datasets_of(resumed):
        assert (dataset.split_by, dataset.brand) == ('brand', 'caption')
    config = resolve(
        load_config('mvlt/recognition_eval_catalogue', data_root=str(shop)), 'test', checkpoint
    )
    line = "trained on split_by 'brand', tested on None: the test split may contain training"
    assert any(note.startswith(line) for note in config.resolved)
    same = {'split_by': 'brand'}
    config = resolve(
        load_config('mvlt/recognition_eval_catalogue', same, str(shop)), 'test', checkpoint
    )
    assert "data: brand 'caption' (the table)" in config.resolved
    assert not any('split_by' in note for note in config.resolved)


def test_a_new_training_trains_its_tokenizer_anew(shop, tmp_path):
    """An earlier run has left the tokenizer of another table in the work dir."""
    build_runner(small_recipe(shop), work_dir=str(tmp_path / 'a')).train()
    before = CaptionTokenizer(str(tmp_path / 'a/tokenizer')).fingerprint
    write_table(shop, [row | dict(productDisplayName=f'quite other words {row["id"]}')
                  for row in read_table(shop)])  # fmt: skip
    runner = build_runner(small_recipe(shop), work_dir=str(tmp_path / 'a'))
    runner.train()
    assert CaptionTokenizer(str(tmp_path / 'a/tokenizer')).fingerprint != before
    resumed = resolve(small_recipe(shop), resume=str(tmp_path / 'a/iter_5.pth'),
                      work_dir=str(tmp_path / 'a'))  # fmt: skip
    assert not resumed.default_hooks.tokenizer.anew
