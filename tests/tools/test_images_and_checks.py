"""Contract: the tools that draw figures and check data run on real files."""

import json
import re
import sys

import h5py
import pandas as pd
import pytest
import torch
from PIL import Image

from mvlt.config import load_config
from mvlt.registry import DATASETS, MODELS
from mvlt.tools import visualize
from mvlt.tools.figures.architecture import stages_of
from tests.commands import run_here


@pytest.fixture(scope='module')
def checkpoint(demo_data, tmp_path_factory):
    """A checkpoint of the demo's model with random weights."""
    config = load_config('configs/demo/pretrain_demo.py', data_root=str(demo_data))
    config.model.backbone.update(embed_dims=(8, 16, 24, 32), num_heads=(1, 1, 1, 1))
    config.model.neck.channels = None
    path = tmp_path_factory.mktemp('checkpoint') / 'random.pth'
    meta = dict(cfg=config.pretty_text)
    torch.save(dict(state_dict=MODELS.build(config.model).state_dict(), meta=meta), path)
    return path


@pytest.mark.parametrize(
    ('kind', 'task', 'images'),
    [
        ('reconstruction', 'generation', ['best.png', 'worst.png']),
        ('masks', 'generation', ['masks.png']),
        ('attention', 'retrieval', ['attention.png']),
        (
            'retrieval',
            'retrieval',
            ['itr_best.png', 'itr_worst.png', 'tir_best.png', 'tir_worst.png'],
        ),
    ],
)
def test_visualize(kind, task, images, checkpoint, demo_data, tmp_path):
    options = ['--cfg-options', 'test_cfg.num_candidates=9'] if kind == 'retrieval' else []
    run = run_here(
        *('tools/visualize.py', kind, f'configs/demo/{task}_demo.py', checkpoint),
        *('--data-root', demo_data, '--out', tmp_path / 'out', '--work-dir', tmp_path / 'work'),
        *('--count', 2, '--pool', 6, *options),
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert sorted(path.name for path in (tmp_path / 'out').glob('*.png')) == images
    assert '<img src="data:image/png' in (tmp_path / 'out/index.html').read_text()


def _draw(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['visualize.py', *map(str, arguments)])
    visualize.main()


@pytest.fixture
def some_ids(demo_data):
    with h5py.File(demo_data / 'fashiongen_64_64_validation.h5') as file:
        return [str(file['input_productID'][row, 0]) for row in (40, 0, 90)]


@pytest.fixture
def drawn_sections(monkeypatch):
    """Sections that visualize.py would write."""
    sections = []
    monkeypatch.setattr(visualize, 'write_sheet', lambda *args: sections.extend(args[2]) or [])
    return sections


@pytest.mark.parametrize('kind', ['units', 'masks'])
def test_masks_are_drawn_without_a_model(kind, some_ids, demo_data, drawn_sections, monkeypatch):
    """Fig. 4 and 8: a row for each product: the image and four masks."""
    config = 'configs/demo/generation_demo.py'
    _draw(monkeypatch, kind, config, '--data-root', demo_data, '--ids', *some_ids)
    (section,) = drawn_sections
    assert [len(row.cells) for row in section.rows] == [5] * 3
    (first, *others) = section.rows[0].cells
    for cell in others:
        masked = (cell.image == 190).all(-1)
        assert 0.45 < masked.mean() < 0.55
        assert (cell.image[~masked] == first.image[~masked]).all()


def test_named_products_are_one_figure(
    checkpoint, some_ids, demo_data, drawn_sections, tmp_path, monkeypatch
):
    """Fig. 5: text to image, then image to text, in the order of the ids."""
    options = ['test_cfg.num_candidates=9']
    arguments = ['retrieval', 'configs/demo/retrieval_demo.py', checkpoint, '--data-root']
    arguments += [demo_data, '--work-dir', tmp_path, '--cfg-options', *options]
    _draw(monkeypatch, *arguments, '--ids', *some_ids)
    (section,) = drawn_sections
    assert section.name == 'retrieval' and len(section.rows) == 6
    assert [row.cells[0].image is None for row in section.rows] == [True] * 3 + [False] * 3
    config = load_config('configs/demo/retrieval_demo.py', data_root=str(demo_data))
    dataset = DATASETS.build(dict(config.test_dataloader.dataset, pipeline=[]))
    records = [dataset.get_data_info(row) for row in range(len(dataset))]
    captions = {record['product_id']: record['caption'] for record in records}
    shown = [row.cells[0].words for row in section.rows[:3]]
    assert shown == [captions[product] for product in some_ids]
    with pytest.raises(ValueError, match='no product 77 in the data; it has e.g. '):
        _draw(monkeypatch, *arguments, '--ids', 77)


def test_the_architecture_is_drawn_from_the_config(tmp_path, monkeypatch):
    """Fig. 3 with the sizes of Table 1."""
    config = load_config('mvlt/pretrain_fashiongen')
    with torch.device('meta'):
        stages = stages_of(MODELS.build(config.model))
    assert [stage.layers for stage in stages] == [2, 2, 2, 2]
    assert [stage.channels for stage in stages] == [64, 128, 320, 512]
    assert [256 // stage.rows for stage in stages] == [4, 8, 16, 32]
    for name in ('mvlt/pretrain_fashiongen', 'mvlt/recognition_catalogue'):
        _draw(monkeypatch, 'architecture', name, '--out', tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {
            'architecture.png',
            'architecture.svg',
        }
    with pytest.raises(ValueError, match='needs a model: name its CHECKPOINT'):
        _draw(monkeypatch, 'attention', 'mvlt/pretrain_fashiongen')


def test_visualize_refuses_configs_that_do_not_fit(checkpoint, demo_data, tmp_path):
    run = run_here(
        *('tools/visualize.py', 'masks', 'configs/demo/retrieval_demo.py', checkpoint),
        *('--data-root', demo_data),
    )
    assert run.returncode == 2 and 'its test pipeline masks no image' in run.stderr
    for kind, config, line in (
        (
            'retrieval',
            'configs/mvlt/finetune_coco_vilt.py',
            'has no test_cfg; take a config that has',
        ),
        ('retrieval', 'configs/demo/generation_demo.py', 'its test_cfg is no ranking'),
    ):
        run = run_here('tools/visualize.py', kind, config, checkpoint)
        assert run.returncode == 2 and line in run.stderr and 'Traceback' not in run.stderr


def test_browse(demo_data, tmp_path):
    run = run_here(
        *('tools/browse_dataset.py', 'configs/demo/pretrain_demo.py', '--data-root', demo_data),
        *('--out', tmp_path, '--count', 2),
    )
    assert run.returncode == 0, run.stderr[-2000:]
    page = (tmp_path / 'index.html').read_text()
    assert 'MaskWords: [CLS]' in page and 'RandomGridMask, 64 x 64' in page
    run = run_here('tools/browse_dataset.py', 'configs/demo/retrieval_demo.py')
    assert run.returncode == 2 and 'has no train_dataloader' in run.stderr


def test_analyze_logs(tmp_path):
    for name in ('a', 'b'):
        folder = tmp_path / name / '1/vis_data'
        folder.mkdir(parents=True)
        lines = [json.dumps(dict(step=step, loss=1 / step, lr=0.1)) for step in (1, 2, 3)]
        (folder / 'scalars.json').write_text('\n'.join([*lines, '{"step": 4, "lo']))
    tool, out = 'tools/analysis_tools/analyze_logs.py', tmp_path / 'losses.png'
    assert run_here(tool, tmp_path / 'a', tmp_path / 'b', '--out', out).returncode == 0
    assert Image.open(out).width > 200
    run = run_here(tool, tmp_path / 'a', '--keys', 'loss_x', '--out', out)
    assert run.returncode == 2 and '--keys loss_x: not in the log' in run.stderr
    assert run_here(tool, tmp_path, '--out', out).returncode == 2
    assert 'legal suffixes' in run_here(tool, tmp_path / 'a', '--out', tmp_path / 'x.txt').stderr


@pytest.fixture
def shop(catalogue):
    description = dict(
        columns=dict(image='image', product_id='id', main_category='kind', sub_category='sub'),
        caption='{title}',
    )
    (catalogue / 'products.json').write_text(json.dumps(description))
    return catalogue


def _check(shop, *options):
    return run_here(
        *('tools/check_dataset.py', 'configs/mvlt/pretrain_catalogue.py', '--data-root', shop),
        *options,
    )


def test_a_sound_catalogue_can_be_trained_on(shop, tmp_path):
    run = _check(shop, '--out', tmp_path / 'report.json')
    assert run.returncode == 0, run.stdout + run.stderr
    assert 'training can start' in run.stdout and 'no tokenizer' in run.stdout
    report = json.loads((tmp_path / 'report.json').read_text())
    assert list(report['splits']) == ['train', 'val', 'test']
    assert sum(split['products'] for split in report['splits'].values()) == 20
    assert not report['fail'] and not report['leaks']


def test_too_many_missing_images_fail(shop):
    (shop / 'images/5.png').write_bytes(b'no image')
    run = _check(shop)  # a single image may always be missing
    assert run.returncode == 0 and 'training can start' in run.stdout
    assert '1 unreadable images, which training skips, first: ' in run.stdout
    assert 'row 7: ' in run.stdout
    for number in range(12):
        (shop / f'images/{number}.png').unlink()
    run = _check(shop)
    assert run.returncode == 1 and 'training or evaluation would fail' in run.stdout
    assert re.search(r"FAIL .*no image 'images/0.png' .*\(12 of 20 .*at most 1 may be", run.stdout)


def test_missing_images_and_guessed_columns_are_reported(shop):
    (shop / 'products.json').unlink()
    (shop / 'images/5.png').unlink()
    run = _check(shop)
    assert run.returncode == 0, run.stdout
    assert re.search(r"WARN .*row 7: .*no image 'images/5.png'.* dropped, at most 1", run.stdout)
    assert 'products.csv: meaning of the columns: {"columns": {"image": "image"' in run.stdout
    assert '; to correct it, run with --write and edit products.json' in run.stdout
    assert not (shop / 'products.json').exists()
    examples = [line for line in run.stdout.splitlines() if line.startswith('e.g. ')]
    assert len(examples) == 3
    assert re.match(r"e\.g\. .*images/\d+\.png: 'Thing number \d+'; .*category", examples[0])


def test_write_stores_the_guessed_columns(shop):
    (shop / 'products.json').unlink()
    run = _check(shop, '--write')
    assert run.returncode == 0 and 'written into' in run.stdout, run.stdout
    written = json.loads((shop / 'products.json').read_text())
    assert written['columns']['image'] == 'image' and written['caption'] == '{title}'
    assert 'read from products.json' in _check(shop).stdout
    again = _check(shop, '--write')
    assert again.returncode == 2 and 'products.json exists: edit it' in again.stderr
    assert json.loads((shop / 'products.json').read_text()) == written


def test_an_empty_validation_split_only_warns(shop):
    table = pd.read_csv(shop / 'products.csv', dtype=str)
    table['split'] = ['train'] * 14 + ['test'] * 6
    table.to_csv(shop / 'products.csv', index=False)
    content = json.loads((shop / 'products.json').read_text())
    content['columns']['split'] = 'split'
    (shop / 'products.json').write_text(json.dumps(content))
    run = _check(shop)
    assert run.returncode == 0, run.stdout
    assert 'WARN val: no products; training does not validate' in run.stdout


def test_equal_captions_fail(shop):
    content = dict(json.loads((shop / 'products.json').read_text()), caption='A thing')
    (shop / 'products.json').write_text(json.dumps(content))
    run = _check(shop)
    assert run.returncode == 1
    assert 'needs 2 products with different captions' in run.stdout


def test_missing_categories_fail(shop):
    (shop / 'products.json').write_text('{"columns": {"image": "image"}, "caption": "{title}"}')
    config = 'configs/mvlt/recognition_catalogue.py'
    run = run_here('tools/check_dataset.py', config, '--data-root', shop)
    assert run.returncode == 1
    assert "model.heads.main_category learns 'main_category', which" in run.stdout


def test_heads_for_each_label_are_checked_by_label(shop):
    """The recipe's heads name no label; they become a head for each label of the data."""
    run = run_here(
        'tools/check_dataset.py', 'configs/mvlt/shop_catalogue_scratch.py', '--data-root', shop
    )
    assert run.returncode == 0 and 'training can start' in run.stdout, run.stdout


def test_products_in_two_splits_are_reported(shop):
    table = pd.read_csv(shop / 'products.csv', dtype=str)
    table['split'] = ['train'] * 14 + ['val'] * 3 + ['test'] * 3
    table.loc[19, 'id'] = '2'
    table.to_csv(shop / 'products.csv', index=False)
    content = json.loads((shop / 'products.json').read_text())
    content['columns']['split'] = 'split'
    (shop / 'products.json').write_text(json.dumps(content))
    run = _check(shop)
    assert run.returncode == 0
    assert '1 products are in two splits (train, test), e.g. 2' in run.stdout
