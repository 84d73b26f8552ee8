"""Contract: every config loads, dumps, reloads, builds, trains two steps, follows the rules."""

import ast
import copy
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from mvlt.config import load_config
from mvlt.config_files import packaged_configs
from mvlt.engine import resolve
from mvlt.engine.hooks.prompts import hand_names
from mvlt.models import TeacherHead
from mvlt.registry import DATASETS, FUNCTIONS, MODELS
from tests.datasets.test_coco import write_coco
from tests.small_model import with_model
from tests.waiting import NothingWaits

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / 'configs').glob('[!_]*/**/*.py'))
BASES = sorted((ROOT / 'configs/_base_').glob('**/*.py'))
NAMES = [f'configs/{name}.py' for name in packaged_configs()]  # rows have no file


def _data_for(name: str, demo_data: Path, products: Path) -> Path:
    """Look-alike data under the names that the config expects."""
    if 'coco' in name:
        return products / 'coco'
    return products if 'catalogue' in name else demo_data


@pytest.fixture(scope='session')
def fashion_data(demo_data):
    """The demo's files under Fashion-Gen's own names too."""
    for split in ('train', 'validation'):
        link = demo_data / f'fashiongen_256_256_{split}.h5'
        if not link.exists():
            link.symlink_to(demo_data / f'fashiongen_64_64_{split}.h5')
    return demo_data


@pytest.fixture(scope='session')
def products(tmp_path_factory, demo_data):
    """60 products with the columns that configs/_base_/datasets/catalogue.py names."""
    import csv
    import shutil

    from PIL import Image

    from mvlt.tools.dataset_converters.make_demo_data import draw_products, render

    root = tmp_path_factory.mktemp('products')
    (root / 'images').mkdir()
    with open(root / 'products.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                'id',
                'image',
                'productDisplayName',
                'subCategory',
                'articleType',
                'baseColour',
                'gender',
                'usage',
                'season',
            ]
        )
        for i, product in enumerate(draw_products(5, seed=3)):
            path = f'images/{product.product_id}.png'
            Image.fromarray(render(product, 'front', 32, 0)).save(root / path)
            writer.writerow(
                [
                    product.product_id,
                    path,
                    f'{"ABCDEFGHIJKL"[i % 12]}brand {product.name}',
                    product.main_category,
                    product.cut,
                    product.colour,
                    'Women',
                    'Casual',
                    'Summer',
                ]
            )
    shutil.copytree(demo_data / 'tokenizer', root / 'tokenizer')
    (root / 'coco').mkdir()
    write_coco(root / 'coco', images=30)
    return root


def _small(config: Config, tokenizer: str) -> Config:
    """The smoke size: 32 px, narrow stages, a local tokenizer."""
    if 'text_encoder' in config.model.backbone:
        return _small_dual(config, tokenizer)
    config.model.backbone.merge(dict(image_size=32, vocab_size=400, token_embed_dim=16))
    stages = dict(embed_dims=(8, 16, 24, 32), num_heads=(1, 1, 1, 1), depths=(1, 1, 1, 1))
    if config.model.backbone.type.endswith('ViTVL'):
        stages = dict(embed_dims=(24,), num_heads=1, depth=1)
    config.model.backbone.merge(dict(stages, init_cfg=None))  # weights that are not at hand
    targets = (config.model.heads.get('mir') or {}).get('targets') or {}
    if 'backbone' in targets:
        targets.backbone.init_cfg = None

    return _shrunk(config, tokenizer)


def _small_dual(config: Config, tokenizer: str) -> Config:
    """A dual encoder without pretrained weights, its images as large as they are."""
    config.model.backbone.image_encoder.merge(dict(image_size=32, init_cfg=None))
    config.model.backbone.vocab_size = 400
    return _shrunk(config, tokenizer)


def _shrunk(config: Config, tokenizer: str) -> Config:
    """Data of 32 px and a local tokenizer."""

    def shrink(part):
        if isinstance(part, dict):
            if 'scale' in part:
                part['scale'] = (32, 32)
            if 'alpha' in part:
                part['alpha'] = min(part['alpha'], 8)
            if 'tokenizer' in part:
                part['tokenizer'] = tokenizer
            for value in part.values():
                shrink(value)
        elif isinstance(part, list | tuple):
            for value in part:
                shrink(value)

    for key in ('train_dataloader', 'test_dataloader'):
        if config.get(key):
            shrink(config[key])
    return config


@pytest.mark.parametrize('name', NAMES)
def test_loads_dumps_reloads_builds_and_trains(name, fashion_data, products, tmp_path):
    root = _data_for(name, fashion_data, products)
    config = load_config(ROOT / name, data_root=str(root))
    if config.get('model') is None:  # a protocol: any model
        full = 'catalogue' in name or 'demo' in name
        config = with_model(
            config, f'mvlt/{"shop_catalogue_scratch" if full else "pretrain_fashiongen"}'
        )
    if 'load_from' in config:
        config.load_from = None
    config = resolve(config, work_dir=str(tmp_path))
    config.dump(tmp_path / 'dump.py')
    again = Config.fromfile(tmp_path / 'dump.py')
    assert again.to_dict() == config.to_dict()

    config = _small(again, str(fashion_data / 'tokenizer'))
    model = MODELS.build(copy.deepcopy(config.model))
    model.init_weights()
    for module in model.modules():
        if hasattr(module, 'centroids'):  # a hook fits them before training
            module.centroids.normal_()
    if config.get('train_dataloader'):
        dataset = DATASETS.build(config.train_dataloader.dataset)
        hand_names(model, dataset)
        for module in model.modules():
            if isinstance(module, TeacherHead):  # a hook embeds the data before training
                embeds = [torch.randn(len(dataset), size) for size in module.dims]
                module.know([dict(image=values, text=values) for values in embeds])
        named = config.train_dataloader.get('collate_fn')
        collate = FUNCTIONS.get(named.type) if named else pseudo_collate
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for step in range(2):
            rows = [(4 * step + i) % len(dataset) for i in range(4)]
            data = collate([dataset[row] for row in rows])
            losses = model(**model.data_preprocessor(data, True), mode='loss')
            assert losses and all(loss.isfinite() for loss in losses.values())
            optimizer.zero_grad()
            sum(losses.values()).backward()
            optimizer.step()
        if _is_new('train', config):
            twin = copy.deepcopy(model).to('meta')
            with NothingWaits():
                losses = twin(**twin.data_preprocessor(data, True), mode='loss')
                twin.parse_losses(losses)[0].backward()
                torch.nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
                torch.optim.AdamW(twin.parameters(), lr=1e-3).step()
    if config.get('test_dataloader'):
        dataset = DATASETS.build(config.test_dataloader.dataset)
        model.eval()
        data = pseudo_collate([dataset[row] for row in range(2)])
        assert len(model(**model.data_preprocessor(data), mode='predict')) == 2
        if _is_new('score', config):
            model.to('meta')
            with NothingWaits():
                _score(model, data)


_seen: set[str] = set()


def _is_new(step, config):
    """Whether this model's step is new: many recipes differ only in their data."""
    key = f'{step} {config.model} {sorted(config.get("train_dataloader") or ())}'
    new = key not in _seen
    _seen.add(key)
    return new


def _score(model, data):
    """The parts of a model that ranking runs."""
    inputs = model.data_preprocessor(data)['inputs']
    captions = model.data_preprocessor.captions(data['inputs']['token_ids'])
    if 'itm' in model.heads:
        model.match(inputs['image'], *captions)
    if 'itc' in model.heads:
        model.image_embeds(inputs['image'])
        model.text_embeds(*captions)


@pytest.mark.parametrize('path', [*FILES, *BASES], ids=lambda path: str(path.relative_to(ROOT)))
def test_dialect(path):
    """The rules of configs/README.md."""
    assert not re.search(r'(pipeline|hooks|scheduler)\[\d', path.read_text()), 'by name'
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), 'a header says what the config is for'
    for node in ast.walk(tree):
        assert not isinstance(node, ast.FunctionDef | ast.Lambda | ast.For | ast.Import)
        if isinstance(node, ast.ImportFrom) and (node.module or '').startswith('mvlt.'):
            assert node.module.count('.') == 1, 'import from the public package'
        if isinstance(node, ast.Call):
            called = node.func
            assert (
                isinstance(called, ast.Name) and called.id in ('dict', 'read_base', 'range')
            ) or (isinstance(called, ast.Attribute) and called.attr in ('merge', 'append'))
        if isinstance(node, ast.keyword):
            assert node.arg != '_delete_'
    bases = [node for node in tree.body if isinstance(node, ast.With)]
    assert len(bases) <= 1
    if bases:
        inherited: set[str] = set()
        for node in bases[0].body:
            assert isinstance(node, ast.ImportFrom) and node.names[0].name == '*'
            file = (
                path.parent / ('../' * (node.level - 1)) / node.module.replace('.', '/')
            ).resolve()
            names = _defines(file.with_suffix('.py'))
            assert not inherited & names, f'two bases define {inherited & names}'
            inherited |= names
        defined = _defines(path, ast.Call)  # a dict; a number or a path may be set anew
        assert not defined & inherited, f're-binds {defined & inherited}; change attributes instead'


def _defines(path: Path, kind: type = ast.AST) -> set[str]:
    """Names that a config binds to values of a kind of node."""
    return {
        target.id
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.value, kind)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


STEPS = [
    'load',
    'background',
    'zoom',
    'crop',
    'augment',
    'resize',
    'flip',
    'mask',
    'augment_caption',
    'tokenize',
    'words',
    'pack',
]
HOOKS = {'checkpoint', 'logger', 'tokenizer', 'load_report', 'skipped_records', 'results'}


@pytest.mark.parametrize('name', NAMES)
def test_parts_have_the_same_names_on_every_config(name):
    """An attribute, in a file or on the command line, replaces a part of any config."""
    config = load_config(ROOT / name)
    assert config.default_hooks.keys() >= HOOKS and 'custom_hooks' not in config
    keys = []
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        key, settings = f'{loader}.dataset', (config.get(loader) or {}).get('dataset')
        while settings and 'dataset' in settings:
            key, settings = f'{key}.dataset', settings['dataset']
        if settings:
            assert list(settings.pipeline) == STEPS
            keys.append(key)
    assert keys
    options = {f'{key}.pipeline.mask': None for key in keys}
    options |= {f'{key}.pipeline.resize.scale': (8, 8) for key in keys}
    options |= {f'{key}.pipeline.tokenize.max_length': 9 for key in keys}
    changed = load_config(ROOT / name, {**options, 'default_hooks.results': None})
    assert changed.default_hooks.results is None
    for key in keys:
        with pytest.raises(KeyError, match='legal: .*mask.*resize'):
            load_config(ROOT / name, {f'{key}.pipeline.masks': None})
